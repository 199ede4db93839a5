"""`authz up` stops in order: nothing new comes in, what is under way ends or is told so, then Envoy goes."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.people import chat, hold_of, until
from tests.e2e.plain import HELLO, contractor, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Gate, stream

STREAM = json.dumps(chat("Hello", stream=True)).encode()
LONG = 300.0
"""Seconds of a drain that no test waits for."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, wait="5m", options=("--drain", str(LONG))) as running:
        yield running


def paused(stack: Stack) -> Gate:
    """The next answer is a stream that pauses until this is opened."""
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    return gate


def is_refused(stack: Stack) -> bool:
    """Whether nobody listens any more."""
    address = urlsplit(stack.url)
    try:
        socket.create_connection((address.hostname, address.port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_answer_under_way_gets_to_its_end_and_nothing_new_comes_in(stack: Stack) -> None:
    gate = paused(stack)
    with staff(stack).asking(STREAM) as client:
        client.reply_head()
        client.read_until(b"there, ")
        stack.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(stack), "the listener is closed")
        gate.open()
        rest = client.read_until(b"\r\n0\r\n\r\n")
    assert b"how are you?" in rest
    assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert stack.process.wait(60) == 0


def test_who_waits_for_people_is_told_to_come_again_and_finds_the_hold(stack: Stack) -> None:
    body = json.dumps(chat("Hold me")).encode()
    with contractor(stack, "lou").asking(body) as client:
        hold = hold_of(stack, "lou")
        stack.process.send_signal(signal.SIGINT)
        reply = client.reply()
    assert reply.refusal == (409, "approval_pending")
    assert reply.header("x-should-retry") == "true"
    assert stack.process.wait(60) == 0
    stack.start()
    with contractor(stack, "lou").asking(body):
        assert hold_of(stack, "lou")["id"] == hold["id"]


def test_a_request_on_a_connection_that_is_still_open_is_told_to_come_again(stack: Stack) -> None:
    gate = paused(stack)
    with staff(stack).asking(STREAM) as client, RawClient(stack.url) as kept:
        client.read_until(b"there, ")
        kept.send(staff(stack).head(size=len(HELLO)))  # it came before, and its body has not yet
        until(lambda: is_under_way(stack), "both are under way")
        stack.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(stack), "the listener is closed")
        gate.open()
        kept.send(HELLO)
        reply = kept.reply()
    assert reply.status == 200
    assert stack.process.wait(60) == 0


def is_under_way(stack: Stack) -> bool:
    from tests.e2e.plain import live

    return live(stack) == 2


def test_a_second_ctrl_c_waits_for_nothing(stack: Stack) -> None:
    gate = paused(stack)
    with staff(stack).asking(STREAM) as client:
        client.read_until(b"there, ")
        stack.process.send_signal(signal.SIGINT)
        until(lambda: is_refused(stack), "the listener is closed")
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(60) == 0  # a fifth of the drain
    gate.open()
    assert stack.processes() == {}
