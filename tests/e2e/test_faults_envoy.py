"""Envoy's own replies while a request is held or a model thinks, and an Envoy that dies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from tests.e2e.faults import RESTART, restart_envoy
from tests.e2e.people import approve, chat, hold_of, received, until
from tests.e2e.plain import HELLO, contractor, data_of, kinds, live, on_record, sessions_of, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose Envoy gives up on a request after two seconds without a byte."""
    with Stack(tmp_path_factory.mktemp("envoy")) as running:
        restart_envoy(running, impatient)
        yield running


def impatient(file: str) -> str:
    edited, times = re.subn(r"(?m)^( +idle_timeout:) [0-9.]+s$", r"\1 2s", file)
    assert times == 2, "the route of the model and that of the undecided"
    return edited


def test_a_held_request_that_envoy_gives_up_is_told_so_and_its_hold_stays(stack: Stack) -> None:
    body = json.dumps(chat("For longer than Envoy waits")).encode()
    reply = contractor(stack, "patient").ask(body)
    assert reply.refusal == (504, "gateway_unavailable")
    session = on_record(stack, reply.session)
    assert data_of(session, "request.refused") == {"code": "gateway_ended", "status": 504}
    assert session["status"] == "gateway_ended"
    hold = hold_of(stack, "patient", waiting=0)
    approve(stack, hold)
    assert contractor(stack, "patient").ask(body).status == 200
    assert received(stack, "For longer than Envoy waits") == [body]


def test_a_model_that_says_nothing_is_a_504_and_its_work_ends(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate,)))
    reply = staff(stack, "asker").ask(HELLO)
    assert reply.refusal == (504, "gateway_unavailable")
    assert stack.upstream.requests[-1].left.wait(10)
    (session,) = sessions_of(stack, "asker")
    assert data_of(on_record(stack, session["id"]), "exchange.ended")["outcome"] == "broken_off"


def test_a_stream_that_falls_silent_is_cut_where_the_record_ends(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as client:
        reply = client.reply()
    assert not reply.is_whole
    assert stack.upstream.requests[-1].left.wait(10)
    session = on_record(stack, reply.session)
    assert session["answer"] == reply.body.decode()
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
