"""A client that leaves, or reads slowly: nothing runs on for nobody, and nothing piles up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.people import approve, chat, hold_of, received, until
from tests.e2e.plain import HELLO, PATH, contractor, data_of, kinds, live, on_record, sessions_of, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, event, stream

MEGABYTE = 1_000_000
WORDS = stream(["Hello there, ", "how are you?"])
LEAVE: dict[str, Callable[[RawClient], None]] = {"closes": RawClient.close, "resets": RawClient.reset}


@pytest.mark.parametrize("how", LEAVE)
def test_a_client_that_leaves_while_held_leaves_the_hold_open_for_its_return(stack: Stack, how: str) -> None:
    subject, text = f"leaver-{how}", f"Wait for me, I am one who {how}"
    caller = contractor(stack, subject)
    body = json.dumps(chat(text)).encode()
    with caller.asking(body) as client:
        hold = hold_of(stack, subject)
        LEAVE[how](client)
    assert hold_of(stack, subject, waiting=0)["id"] == hold["id"]
    (session,) = sessions_of(stack, subject)
    assert data_of(on_record(stack, session["id"]), "exchange.ended")["outcome"] == "client_left"
    assert received(stack, text) == []
    with caller.asking(body) as client:
        again = hold_of(stack, subject)
        assert again["id"] == hold["id"]
        approve(stack, again)
        assert client.reply().status == 200
    assert received(stack, text) == [body]


def test_an_approval_for_somebody_who_left_releases_nothing_until_they_are_back(stack: Stack) -> None:
    caller = contractor(stack, "gone")
    body = json.dumps(chat("Is anybody there?")).encode()
    with caller.asking(body):
        hold_of(stack, "gone")
    hold = hold_of(stack, "gone", waiting=0)
    approve(stack, hold)
    assert received(stack, "Is anybody there?") == []
    reply = caller.ask(body)
    assert reply.status == 200
    assert received(stack, "Is anybody there?") == [body]
    released = data_of(on_record(stack, reply.session), "request.released")
    assert released["hold"] == hold["id"]


@pytest.mark.parametrize("how", LEAVE)
def test_a_client_that_leaves_while_the_model_thinks_ends_its_work(stack: Stack, how: str) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(gate, *WORDS.steps)))
    before = len(stack.upstream.requests)
    with staff(stack, f"thinker-{how}").asking() as client:
        seen = stack.upstream.wait_for_requests(before + 1)[-1]
        LEAVE[how](client)
    assert seen.left.wait(60)
    (session,) = until(lambda: sessions_of(stack, f"thinker-{how}"), "the session on record")
    found = on_record(stack, session["id"])
    assert data_of(found, "exchange.ended")["outcome"] == "broken_off"
    assert found["answer"] is None


@pytest.mark.parametrize("how", LEAVE)
def test_a_client_that_leaves_while_the_answer_streams_ends_the_models_work(stack: Stack, how: str) -> None:
    gate = stack.upstream.gate()
    first, *rest = WORDS.steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as client:
        _, headers = client.reply_head()
        client.read_until(b"there, ")
        LEAVE[how](client)
    seen = stack.upstream.requests[-1]
    assert seen.left.wait(60)
    found = on_record(stack, dict(headers)["x-authz-session"])
    assert kinds(found)[-2:] == ["answer.released", "exchange.ended"]
    assert data_of(found, "exchange.ended")["outcome"] == "broken_off"
    assert "there, " in found["answer"]
    assert "how are you?" not in found["answer"]


def test_nothing_of_those_who_left_stays_in_the_service(stack: Stack) -> None:
    until(lambda: live(stack) == 0, "no exchange is in hand")


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    document = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return event(document)


class Endless:
    """Steps of an answer that goes on for 240 MB, and how many bytes of it were asked for."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        piece = chunk("la " * 20_000)
        while self.taken < 240 * MEGABYTE:
            self.taken += len(piece)
            yield piece


def settled(look: Callable[[], int]) -> int:
    """A number, once it has not moved in 25 looks."""
    before, same = look(), 0
    while same < 25:
        time.sleep(0.02)
        now = look()
        before, same = now, same + 1 if now == before else 0
    return before


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def test_a_client_that_does_not_read_makes_the_model_wait(stack: Stack) -> None:
    service = stack.child("serve")
    before = resident(service)
    endless = Endless()
    stack.upstream.answer_with(lambda _: Answer(headers=SSE_TYPE, steps=endless))  # type: ignore[arg-type]
    caller = staff(stack, "sleeper")
    with RawClient(stack.url, receive_buffer=65536) as client:
        client.send(caller.head(size=len(HELLO)) + HELLO)
        _, headers = client.reply_head()
        taken = settled(lambda: endless.taken)
        assert taken < 120 * MEGABYTE, "the model was made to wait"
        assert resident(service) - before < 120 * MEGABYTE
        assert staff(stack).ask(HELLO).status == 200, "others are served meanwhile"
    assert stack.upstream.requests[-2].left.wait(60)
    session = dict(headers)["x-authz-session"]
    assert data_of(on_record(stack, session), "exchange.ended")["outcome"] == "broken_off"


def test_a_client_that_reads_little_at_a_time_gets_the_whole_masked(stack: Stack) -> None:
    words = ["la " * 5_000 + "john@example.org "] * 200
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=[*map(chunk, words), b"data: [DONE]\n\n"]))
    caller = staff(stack)
    with RawClient(stack.url, receive_buffer=4096) as client:
        client.send(caller.head(size=len(HELLO)) + HELLO)
        reply = client.reply()
    assert reply.is_whole
    lines = [line[6:] for line in reply.body.split(b"\n\n") if line and line != b"data: [DONE]"]
    said = "".join(json.loads(line)["choices"][0]["delta"]["content"] for line in lines)
    assert said == "".join(words).replace("john@example.org", "[EMAIL_ADDRESS]")
    assert on_record(stack, reply.session)["answer"] == reply.body.decode()
    assert stack.upstream.requests[-1].path == PATH
