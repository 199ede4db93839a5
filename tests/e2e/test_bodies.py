"""A request body that cannot be judged as a whole is refused by name, on record, and reaches no model."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.e2e.people import until
from tests.e2e.plain import HELLO, PATH, Header, Plain, data_of, kinds, live, on_record, sessions_of, staff
from tests.e2e.raw_client import RawClient, Reply, chunked
from tests.e2e.stack import Stack

LIMIT = 8 * 1024 * 1024
CARD = "4111 1111 1111 1111"


def with_content(content: str) -> bytes:
    """A chat request whose one message has `content`, a JSON value."""
    return b'{"model":"llama","messages":[{"role":"user","content":%b}]}' % content.encode()


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


def assert_refused(alice: Plain, reply: Reply, status: int, code: str, *, seen: int) -> None:
    """The refusal is whole, names its session, is on record with its end, and no model was asked."""
    assert reply.is_whole
    assert reply.refusal == (status, code)
    assert reply.error["session"] == reply.session
    assert reply.header("x-should-retry") == "false"
    assert len(alice.stack.upstream.requests) == seen
    session = on_record(alice.stack, reply.session)
    assert kinds(session) == ["request.received", "request.refused", "exchange.ended"]
    assert data_of(session, "request.refused") == {"code": code, "status": status}
    assert (session["status"], session["decision"], session["request"]) == ("refused", "deny", None)


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"Hello", "invalid_json"),
    "cut off": (HELLO[:-1], "invalid_json"),
    "two documents": (HELLO + HELLO, "trailing_data"),
    "empty": (b"", "invalid_json"),
    "a key twice": (b'{"model":"llama","messages":[],"messages":[]}', "duplicate_key"),
    "a key twice, once escaped": (b'{"model":"llama","messages":[],"mess\\u0061ges":[]}', "duplicate_key"),
    "half of a surrogate pair": (with_content('"\\ud800"'), "lone_surrogate"),
    "deeper than 64 levels": (with_content("[" * 64 + "]" * 64), "too_deep"),
    "a byte order mark": (b"\xef\xbb\xbf" + HELLO, "invalid_utf8"),
    "UTF-16": (HELLO.decode().encode("utf-16"), "invalid_utf8"),
    "a byte that is no UTF-8": (with_content('"\xff"').replace(b"\xc3\xbf", b"\xff"), "invalid_utf8"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_with_two_readings_or_none_is_refused(alice: Plain, name: str) -> None:
    body, code = UNREADABLE[name]
    seen = len(alice.stack.upstream.requests)
    assert_refused(alice, alice.ask(body), 400, code, seen=seen)


UNREAD_TYPES: dict[str, tuple[Header, bytes, str]] = {
    "text": (("content-type", "text/plain"), HELLO, "unsupported_content_type"),
    "a form": (("content-type", "multipart/form-data; boundary=x"), HELLO, "unsupported_content_type"),
    "no type": (("content-type", ""), HELLO, "unsupported_content_type"),
    "another charset": (
        ("content-type", "application/json; charset=utf-16"),
        HELLO.decode().encode("utf-16"),
        "unsupported_content_type",
    ),
    "two types": (("content-type", "application/json, text/plain"), HELLO, "unsupported_content_type"),
    "gzip": (("content-encoding", "gzip"), gzip.compress(HELLO), "unsupported_encoding"),
    "said to be gzip": (("content-encoding", "gzip"), HELLO, "unsupported_encoding"),
    "an unknown encoding": (("content-encoding", "x-unknown"), HELLO, "unsupported_encoding"),
}


@pytest.mark.parametrize("name", UNREAD_TYPES)
def test_a_body_of_another_type_or_encoding_is_415(alice: Plain, name: str) -> None:
    header, body, code = UNREAD_TYPES[name]
    seen = len(alice.stack.upstream.requests)
    assert_refused(alice, alice.ask(body, header), 415, code, seen=seen)


def test_thirty_megabytes_are_413_before_they_have_all_been_sent(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    body = with_content('"' + "a" * 30_000_000 + '"')
    assert_refused(alice, alice.ask(body), 413, "too_large", seen=seen)


def test_a_body_of_the_limit_is_judged_and_one_byte_more_is_not(alice: Plain) -> None:
    padding = LIMIT - len(with_content('""'))
    largest = with_content('"' + "a" * padding + '"')
    assert len(largest) == LIMIT
    assert alice.ask(largest).status == 200
    assert alice.stack.upstream.requests[-1].body == largest
    seen = len(alice.stack.upstream.requests)
    assert_refused(alice, alice.ask(largest + b" "), 413, "too_large", seen=seen)


def test_chunks_without_a_length_count_to_the_same_limit(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    pieces = [b"a" * 1_000_000] * 9
    sent = alice.head(("transfer-encoding", "chunked")) + chunked(pieces)
    assert_refused(alice, alice.exactly(sent), 413, "too_large", seen=seen)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_a_body_where_none_belongs_is_refused(alice: Plain, method: str) -> None:
    seen = len(alice.stack.upstream.requests)
    reply = alice.ask(HELLO, method=method, target="/health")
    assert (reply.status, len(alice.stack.upstream.requests)) == (400, seen)
    refused = data_of(on_record(alice.stack, reply.session), "request.refused")
    assert refused == {"code": "unexpected_body", "status": 400}


def test_a_body_in_chunks_of_a_byte_is_the_same_body(alice: Plain) -> None:
    pieces = [HELLO[i : i + 1] for i in range(len(HELLO))]
    reply = alice.exactly(alice.head(("transfer-encoding", "chunked")) + chunked(pieces))
    assert reply.status == 200
    assert alice.stack.upstream.requests[-1].body == HELLO


def test_a_value_is_masked_however_the_body_is_cut(alice: Plain) -> None:
    body = with_content(json.dumps(f"My card is {CARD}."))
    pieces = [body[i : i + 3] for i in range(0, len(body), 3)]
    reply = alice.exactly(alice.head(("transfer-encoding", "chunked")) + chunked(pieces))
    assert reply.status == 200
    seen = alice.stack.upstream.requests[-1]
    assert seen.json()["messages"][0]["content"] == "My card is [CREDIT_CARD]."
    assert seen.header("content-length") in ([], [str(len(seen.body))])


def test_a_client_that_waits_to_be_told_to_continue_is_told(alice: Plain) -> None:
    with RawClient(alice.stack.url) as client:
        client.send(alice.head(("expect", "100-continue"), size=len(HELLO)))
        assert client.reply_head()[0] == 100
        client.send(HELLO)
        assert client.reply().status == 200
    assert alice.stack.upstream.requests[-1].body == HELLO
    assert alice.stack.upstream.requests[-1].header("expect") == []


def test_trailers_behind_chunks_reach_no_model(alice: Plain) -> None:
    trailers = [("x-secret", CARD)]
    sent = alice.head(("transfer-encoding", "chunked"), ("trailer", "x-secret"))
    reply = alice.exactly(sent + chunked([HELLO], trailers=trailers))
    assert reply.status == 200
    seen = alice.stack.upstream.requests[-1]
    assert seen.body == HELLO
    assert (seen.header("x-secret"), seen.header("trailer")) == ([], [])


def test_a_body_that_ends_before_its_length_is_never_judged(stack: Stack) -> None:
    shorty = staff(stack, "shorty")
    seen = len(stack.upstream.requests)
    until(lambda: live(stack) == 0, "nothing else is in hand")
    with RawClient(stack.url) as client:
        client.send(shorty.head(size=len(HELLO) + 1) + HELLO)
        until(lambda: live(stack) == 1, "the service reads the body")
        client.end_sending()
        assert client.read() == b""
    (session,) = until(lambda: sessions_of(stack, "shorty"), "the session on record")
    found = on_record(stack, session["id"])
    assert kinds(found) == ["request.received", "exchange.ended"]
    assert data_of(found, "exchange.ended")["outcome"] == "client_left"
    assert len(stack.upstream.requests) == seen


def test_what_follows_a_body_of_its_length_is_not_part_of_it(alice: Plain) -> None:
    seen = len(alice.stack.upstream.requests)
    smuggled = alice.head(size=len(HELLO)) + HELLO + b"GET /smuggled HTTP/1.1\r\n\r\n"
    with RawClient(alice.stack.url) as client:
        client.send(smuggled)
        assert client.reply().status == 200
    assert [r.body for r in alice.stack.upstream.requests[seen:]] == [HELLO]
    assert {r.path for r in alice.stack.upstream.requests} == {PATH}


MALFORMED: dict[str, tuple[tuple[Header, ...], bytes]] = {
    "a length and chunks": (
        (("content-length", str(len(HELLO))), ("transfer-encoding", "chunked")),
        chunked([HELLO]),
    ),
    "two lengths": ((("content-length", str(len(HELLO))), ("content-length", "3")), HELLO),
    "a chunk size that is none": ((("transfer-encoding", "chunked"),), b"zz\r\n" + HELLO),
    "chunks within gzip": ((("transfer-encoding", "gzip, chunked"),), chunked([HELLO])),
    "a length that is no number": ((("content-length", "-1"),), HELLO),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_framed_in_two_ways_is_cut_off(alice: Plain, name: str) -> None:
    headers, body = MALFORMED[name]
    seen = len(alice.stack.upstream.requests)
    with RawClient(alice.stack.url) as client:
        client.send_what_is_taken(alice.head(*headers) + body)
        answer = client.read()
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert len(alice.stack.upstream.requests) == seen
