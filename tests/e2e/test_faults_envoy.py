"""Envoy's own replies while a request is held or a model thinks, and an Envoy that dies."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial

import pytest
from tests.e2e.faults import RESTART, restart_envoy
from tests.e2e.people import approve, chat, hold_of, in_background, received, until
from tests.e2e.plain import HELLO, contractor, data_of, kinds, live, on_record, sessions_of, staff
from tests.e2e.raw_client import RawClient, Reply
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream

SILENCE = "20s"
"""Longer than a process of ours stands still on a busy machine."""
LONG = json.dumps(chat("For longer than Envoy waits")).encode()


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What callers were told by an Envoy that had waited for long enough."""

    held: Reply
    """The hold was open."""
    silent: Reply
    """The model had said nothing."""
    cut: Reply
    """A stream had fallen silent."""
    has_ended: list[bool]
    """Whether the model was told that nobody listened any more, of the last two."""


@pytest.fixture(scope="module")
def given_up(stack: Stack) -> GivenUp:
    """They asked an Envoy that gives up after `SILENCE` without a byte; the next one has patience again."""
    restart_envoy(stack, partial(waiting_for, SILENCE))
    seen = len(stack.upstream.requests)
    held = in_background(lambda: contractor(stack, "patient").ask(LONG))
    stack.upstream.answer_with(Answer(steps=(stack.upstream.gate(),)))
    silent = in_background(lambda: staff(stack, "asker").ask(HELLO))
    stack.upstream.wait_for_requests(seen + 1)
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, stack.upstream.gate(), *rest)))
    cut = in_background(lambda: staff(stack).ask(HELLO))
    asked = stack.upstream.wait_for_requests(seen + 2)[seen:]
    told = (held.result(RESTART), silent.result(RESTART), cut.result(RESTART))
    has_ended = [request.left.wait(RESTART) for request in asked]
    restart_envoy(stack, partial(waiting_for, "4200s"))
    return GivenUp(*told, has_ended)


def waiting_for(silence: str, file: str) -> str:
    edited, times = re.subn(r"(?m)^( +idle_timeout:) [0-9.]+s$", rf"\1 {silence}", file)
    assert times == 2, "the route of the model and that of the undecided"
    return edited


def test_a_held_request_that_envoy_gives_up_is_told_so_and_its_hold_stays(
    stack: Stack, given_up: GivenUp
) -> None:
    assert given_up.held.refusal == (504, "gateway_unavailable")
    session = on_record(stack, given_up.held.session)
    assert data_of(session, "request.refused") == {"code": "gateway_ended", "status": 504}
    assert session["status"] == "gateway_ended"
    hold = hold_of(stack, "patient", waiting=0)
    approve(stack, hold)
    assert contractor(stack, "patient").ask(LONG).status == 200
    assert received(stack, "For longer than Envoy waits") == [LONG]


def test_a_model_that_says_nothing_is_a_504_and_its_work_ends(stack: Stack, given_up: GivenUp) -> None:
    assert given_up.silent.refusal == (504, "gateway_unavailable")
    assert given_up.has_ended[0]
    (session,) = sessions_of(stack, "asker")
    assert data_of(on_record(stack, session["id"]), "exchange.ended")["outcome"] == "broken_off"


def test_a_stream_that_falls_silent_is_cut_where_the_record_ends(stack: Stack, given_up: GivenUp) -> None:
    assert not given_up.cut.is_whole
    assert given_up.has_ended[1]
    session = on_record(stack, given_up.cut.session)
    assert session["answer"] == given_up.cut.body.decode()
    assert kinds(session)[-2:] == ["answer.released", "exchange.ended"]


def test_an_envoy_that_is_killed_leaves_holds_open_and_is_started_again(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    body = json.dumps(chat("Envoy may die")).encode()
    with RawClient(stack.url) as listener, RawClient(stack.url) as waiter:
        listener.send(staff(stack).head(size=len(HELLO)) + HELLO)
        _, headers = listener.reply_head()
        listener.read_until(b"there, ")
        waiter.send(contractor(stack, "survivor").head(size=len(body)) + body)
        hold = hold_of(stack, "survivor")
        restart_envoy(stack)
        assert listener.read_until(b"\r\n0\r\n").endswith(b"\r\n0\r\n") is False
        assert waiter.read() == b""
    until(lambda: live(stack) == 0, "the service has let go of both", within=RESTART)
    ended = data_of(on_record(stack, dict(headers)["x-authz-session"]), "exchange.ended")
    assert ended["outcome"] == "broken_off"
    assert hold_of(stack, "survivor", waiting=0)["id"] == hold["id"]
    approve(stack, hold)
    assert contractor(stack, "survivor").ask(body).status == 200
    assert received(stack, "Envoy may die") == [body]
