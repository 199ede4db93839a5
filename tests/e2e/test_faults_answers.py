"""A model's answer that cannot be read, breaks off or goes wrong: an error that SDKs understand, or a cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from tests.e2e.people import ask, chat
from tests.e2e.plain import HELLO, Plain, data_of, kinds, on_record, staff
from tests.e2e.raw_client import Reply
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import (
    JSON_TYPE,
    SSE_TYPE,
    Answer,
    Ending,
    completion,
    event,
    gzipped,
    stream,
    whole,
)

EMAIL = "john@example.org"
LIMIT = 8 * 1024 * 1024
AWAY = '  - {{name: away, url: "http://127.0.0.1:1"}}\n'
TWO_MODELS = CONFIG.replace("models:\n", f"models:\n{AWAY}").replace("/health,", "/health, model: llama,")
WORDS = stream(["Hello there, ", f"write to {EMAIL} ", "today."])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with a second model, whose server is away."""
    with Stack(tmp_path_factory.mktemp("answers"), config=TWO_MODELS) as running:
        yield running


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


def answered(alice: Plain, answer: Answer, body: bytes = HELLO) -> Reply:
    """What the caller gets when the model answers so."""
    alice.stack.upstream.answer_with(answer)
    return alice.ask(body)


def assert_refused(alice: Plain, reply: Reply, code: str, *, status: int = 502) -> None:
    """An error in the API's shape that is not worth the same request again, and on record with its end."""
    assert reply.is_whole
    assert reply.refusal == (status, code)
    assert reply.header("x-should-retry") == ("false" if status == 502 else None)
    session = on_record(alice.stack, reply.session)
    assert kinds(session)[-2:] == ["answer.refused", "exchange.ended"]
    assert data_of(session, "answer.refused") == {"code": code}
    assert (session["status"], session["answer"]) == ("answer_failed", None)


HELLO_JSON = completion("Hello").steps
UNREADABLE: dict[str, Answer] = {
    "gzip": gzipped(completion("Hello")),
    "an unknown encoding": Answer(headers=(*JSON_TYPE, ("content-encoding", "x-new")), steps=HELLO_JSON),
    "text": Answer(headers=(("content-type", "text/plain"),), steps=(b"Hello",)),
    "no type": Answer(headers=(), steps=HELLO_JSON),
    "another charset": Answer(headers=(("content-type", "application/json; charset=latin-1"),)),
    "204": Answer(204, headers=()),
    "304": Answer(304, headers=()),
    "a redirect": Answer(302, headers=(("location", "http://elsewhere.example/"),)),
    "an upgrade": Answer(
        raw=b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    ),
    "no completion": whole({"hello": "there"}),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_in_a_form_that_cannot_be_read_is_502(alice: Plain, name: str) -> None:
    assert_refused(alice, answered(alice, UNREADABLE[name]), "unreadable_answer")


INVALID: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"Hello", "invalid_json"),
    "cut off": (b'{"choices":[', "invalid_json"),
    "a key twice": (b'{"choices":[],"choices":[]}', "duplicate_key"),
    "half of a surrogate pair": (b'{"id":"\\ud800"}', "lone_surrogate"),
    "no UTF-8": (b'{"id":"\xff"}', "invalid_utf8"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_answer_with_two_readings_or_none_is_502(alice: Plain, name: str) -> None:
    body, code = INVALID[name]
    assert_refused(alice, answered(alice, Answer(steps=(body,))), code)


def test_an_answer_over_the_limit_is_502(alice: Plain) -> None:
    pieces = [b"x" * 100_000] * (LIMIT // 100_000 + 1)
    assert_refused(alice, answered(alice, Answer(steps=(b'{"id":"', *pieces, b'"}'))), "answer_too_large")


def test_the_sdk_understands_an_answer_that_was_refused(stack: Stack) -> None:
    stack.upstream.answer_with(gzipped(completion("Hello")))
    before = len(stack.upstream.requests)
    with pytest.raises(openai.InternalServerError) as refused:
        ask(stack.sdk("alice", "staff"), "Hello")
    assert (refused.value.status_code, refused.value.code) == (502, "unreadable_answer")
    assert len(stack.upstream.requests) == before + 1, "the SDK was told not to try again"


# The model's own failures.


def test_a_models_failure_keeps_its_status_and_its_words_are_masked(stack: Stack) -> None:
    error = {"error": {"message": f"{EMAIL} is over quota", "type": "limit", "code": "quota"}}
    stack.upstream.answer_with(whole(error, status=429, headers=(*JSON_TYPE, ("retry-after", "7"))))
    with pytest.raises(openai.RateLimitError, match=r"\[EMAIL_ADDRESS\] is over quota") as refused:
        ask(stack.sdk("alice", "staff", max_retries=0), "Hello")
    assert refused.value.response.headers["retry-after"] == "7"
    assert EMAIL not in refused.value.response.text


def test_a_failure_that_cannot_be_read_keeps_its_status_in_the_apis_shape(alice: Plain) -> None:
    busy = Answer(503, headers=(("content-type", "text/html"),), steps=(f"<p>{EMAIL} is busy".encode(),))
    reply = answered(alice, busy)
    assert_refused(alice, reply, "unreadable_answer", status=503)
    assert EMAIL.encode() not in reply.body


def test_a_server_that_is_away_is_503_in_the_apis_shape(stack: Stack, alice: Plain) -> None:
    reply = alice.ask(json.dumps(chat("Hello") | {"model": "away"}).encode())
    assert reply.refusal == (503, "gateway_unavailable")
    session = on_record(stack, reply.session)
    assert (session["model"], data_of(session, "answer.started")["status"]) == ("away", 503)
    with pytest.raises(openai.InternalServerError, match="could not complete this request"):
        stack.sdk("alice", "staff", max_retries=0).chat.completions.create(
            model="away", messages=[{"role": "user", "content": "Hello"}]
        )


BROKEN_HTTP = {
    "nothing": b"",
    "no HTTP": b"Hello\r\n\r\n",
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "a NUL in a header": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx: a\0b\r\n\r\n{}",
}


@pytest.mark.parametrize("name", BROKEN_HTTP)
def test_a_server_that_speaks_no_http_is_an_error_in_the_apis_shape(alice: Plain, name: str) -> None:
    reply = answered(alice, Answer(raw=BROKEN_HTTP[name]))
    assert reply.refusal == (503 if name == "nothing" else 502, "gateway_unavailable")
    assert on_record(alice.stack, reply.session)["status"] == "completed"


def test_an_answer_before_the_request_was_read_is_passed_on(stack: Stack, alice: Plain) -> None:
    refusal = json.dumps({"error": {"message": "too large", "code": "too_large"}}).encode()
    gate = stack.upstream.gate()
    sized = (*JSON_TYPE, ("content-length", str(len(refusal))))
    stack.upstream.answer_with(Answer(413, headers=sized, steps=(refusal, gate), early=True))
    reply = alice.ask(json.dumps(chat("a" * 7_000_000)).encode())
    gate.open()
    assert (reply.status, reply.body) == (413, refusal)
    assert on_record(stack, reply.session)["status"] == "completed"


# Answers that break off.


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
def test_an_answer_that_breaks_off_before_anything_was_released_is_502(alice: Plain, ending: Ending) -> None:
    sized = Answer(headers=(*JSON_TYPE, ("content-length", "100")), steps=(b'{"id":',), ending=ending)
    reply = answered(alice, sized)
    assert reply.refusal == (502, "gateway_unavailable")
    latest = alice.stack.cli_json("session", "list", "--limit", "1")[0]
    assert data_of(on_record(alice.stack, latest["id"]), "exchange.ended")["outcome"] == "broken_off"


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
def test_a_stream_that_breaks_off_is_cut_where_the_record_ends(stack: Stack, ending: Ending) -> None:
    gate = stack.upstream.gate()
    first, *rest = WORDS.steps
    stack.upstream.answer_with(replace(WORDS, steps=(first, gate, rest[0]), ending=ending))
    with staff(stack).asking() as client:
        _, headers = client.reply_head()
        start = client.read_until(b"there, ")
        gate.open()
        received = start + client.read_until(b"\r\n0\r\n")
    assert not received.endswith(b"\r\n0\r\n"), "the answer was ended as if it were whole"
    assert EMAIL.encode() not in received
    session = on_record(stack, dict(headers)["x-authz-session"])
    assert data_of(session, "exchange.ended")["outcome"] == "broken_off"
    assert "Hello there, " in session["answer"]


def test_the_sdk_sees_that_a_stream_was_cut(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *_ = WORDS.steps
    stack.upstream.answer_with(replace(WORDS, steps=(first, gate), ending=Ending.CLOSE))
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    chunks = stack.sdk("alice", "staff", max_retries=0).chat.completions.create(
        model="llama", messages=messages, stream=True
    )
    assert next(iter(chunks)).choices[0].delta.content == "Hello there, "
    gate.open()
    with pytest.raises((openai.APIError, httpx.RemoteProtocolError)):
        list(chunks)


IN_STREAM: dict[str, tuple[tuple[bytes, ...], str]] = {
    "an end within an event": ((b'data: {"choices":[{"delta":',), "truncated_stream"),
    "something after the end": ((b"data: [DONE]\n\n", event({"choices": []})), "unreadable_answer"),
    "an event that is no JSON": ((b"data: Hello\n\n",), "invalid_json"),
    "an event that is no UTF-8": ((b'data: {"id":"\xff"}\n\n',), "invalid_utf8"),
    "an event over the limit": ((b"data: ", *[b"x" * 100_000] * (LIMIT // 100_000 + 1)), "event_too_large"),
}


@pytest.mark.parametrize("name", IN_STREAM)
def test_a_stream_that_cannot_be_read_on_ends_with_an_error_event(stack: Stack, name: str) -> None:
    pieces, code = IN_STREAM[name]
    gate = stack.upstream.gate()
    first = WORDS.steps[0]
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *pieces)))
    with staff(stack).asking() as client:
        _, headers = client.reply_head()
        client.read_until(b"there, ")
        gate.open()
        rest = client.read_until(b"\r\n0\r\n\r\n")
    assert rest.endswith(b"\r\n0\r\n\r\n")
    assert f'"code":"{code}"'.encode() in rest
    session = on_record(stack, dict(headers)["x-authz-session"])
    assert data_of(session, "answer.refused") == {"code": code}


# What is odd, and fine.


def test_a_stream_without_its_last_event_is_whole_when_its_framing_says_so(alice: Plain) -> None:
    reply = answered(alice, replace(WORDS, steps=WORDS.steps[:-1]))
    assert reply.is_whole
    assert b"[EMAIL_ADDRESS]" in reply.body
    assert on_record(alice.stack, reply.session)["answer"] == reply.body.decode()


def test_a_stream_that_ends_with_its_connection_is_passed_on(alice: Plain) -> None:
    start = b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    reply = answered(alice, Answer(raw=start + b"".join(s for s in WORDS.steps if isinstance(s, bytes))))
    assert reply.is_whole
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert EMAIL.encode() not in reply.body


def test_informational_answers_and_trailers_do_not_cross(alice: Plain) -> None:
    hints = ((103, (("link", f"</{EMAIL}>"),)), (100, ()))
    reply = answered(alice, replace(WORDS, informational=hints, trailers=(("x-secret", EMAIL),)))
    assert reply.status == 200
    assert reply.is_whole, "there is nothing behind the last chunk"
    assert EMAIL not in str(reply.headers)
    assert EMAIL not in json.dumps(on_record(alice.stack, reply.session))


def test_what_a_server_says_in_its_status_line_and_between_chunks_does_not_cross(alice: Plain) -> None:
    said = b"".join(step for step in completion("Hello").steps if isinstance(step, bytes))
    note = EMAIL.encode()
    head = b"HTTP/1.1 200 %s\r\ncontent-type: application/json\r\n" % note
    head += b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"  # as the upstream does after it
    chunks = b"%x;note=%s\r\n%s\r\n0;%s\r\n\r\n" % (len(said), note, said, note)
    alice.stack.upstream.answer_with(Answer(raw=head + chunks))
    with alice.asking() as client:
        heard = client.read_until(said + b"\r\n")
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"Hello"' in heard
    assert note not in heard


def test_what_stands_beside_the_data_of_a_stream_does_not_cross(alice: Plain) -> None:
    odd = b": AKIAIOSFODNN7EXAMPLE\n\n", b"id: john@example.org\nretry: 1\nevent: 4111111111111111\n"
    reply = answered(alice, replace(WORDS, steps=(*odd, *WORDS.steps)))
    assert reply.body.endswith(b"data: [DONE]\n\n")
    for secret in (b"AKIA", EMAIL.encode(), b"4111"):
        assert secret not in reply.body


def test_a_body_that_became_shorter_has_no_length_of_before(alice: Plain) -> None:
    reply = answered(alice, completion(f"Write to {EMAIL} " * 40))
    assert reply.is_whole
    assert reply.header("content-length") in (None, str(len(reply.body)))
    content = json.loads(reply.body)["choices"][0]["message"]["content"]
    assert content == "Write to [EMAIL_ADDRESS] " * 40
