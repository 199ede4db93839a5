"""A stop waits for what is under way as long as it may; then callers are told, and the record says so."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.e2e.faults import RESTART, assert_goes_on, held_again, stop_service, until_gone
from tests.e2e.people import approve, chat, hold_of, in_background, until
from tests.e2e.plain import HELLO, contractor, data_of, kinds, live, on_record, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that is not patient when it stops."""
    with Stack(tmp_path_factory.mktemp("drain"), options=("--drain", "0.5")) as running:
        yield running


def test_a_stream_that_outlasts_the_drain_ends_with_an_error_that_says_so(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    body = json.dumps(chat("Hello", stream=True)).encode()
    with staff(stack).asking(body) as client:
        _, headers = client.reply_head()
        client.read_until(b"there, ")
        stopped = stop_service(stack)
        rest_of_it = client.read_until(b"\r\n0\r\n\r\n")
    gate.open()
    assert rest_of_it.endswith(b"\r\n0\r\n\r\n")
    assert b'"stopping"' in rest_of_it
    until_gone(stopped)
    assert_goes_on(stack)
    session = on_record(stack, dict(headers)["x-authz-session"])
    assert data_of(session, "exchange.ended")["outcome"] == "stopped"
    assert data_of(session, "answer.refused")["code"] == "stopping"
    assert kinds(session).count("exchange.ended") == 1
    assert "exchange.recovered" not in kinds(session)


def test_who_waits_outlives_a_stream_that_outlasts_the_drain(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    body = json.dumps(chat("Outlive a stream")).encode()
    with staff(stack).asking() as listener, RawClient(stack.url, timeout=RESTART) as waiter:
        listener.read_until(b"there, ")
        waiter.send(contractor(stack, "kay").head(size=len(body)) + body)
        hold = hold_of(stack, "kay")
        told = in_background(waiter.reply)
        stopped = stop_service(stack)
        assert b'"stopping"' in listener.read_until(b"\r\n0\r\n\r\n")
        gate.open()
        until_gone(stopped)
        approve(stack, held_again(stack, hold))
        assert told.result(RESTART).status == 200


def test_a_caller_whom_the_model_keeps_waiting_is_told_to_come_again(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(steps=(gate, b"{}")))
    seen = len(stack.upstream.requests)
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(staff(stack).head(size=len(HELLO)) + HELLO)
        stack.upstream.wait_for_requests(seen + 1)
        stopped = stop_service(stack)
        reply = client.reply()
    gate.open()
    assert reply.refusal == (503, "stopping")
    assert (reply.header("x-should-retry"), reply.header("retry-after")) == ("true", "1")
    assert data_of(on_record(stack, reply.session), "exchange.ended")["outcome"] == "stopped"
    until_gone(stopped)
    assert_goes_on(stack)


def test_who_is_still_sending_when_the_drain_is_over_is_told_to_come_again(stack: Stack) -> None:
    until(lambda: live(stack) == 0, "nothing else is in hand")
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(staff(stack).head(size=len(HELLO)) + HELLO[:9])
        until(lambda: live(stack) == 1, "the service reads the body")
        stopped = stop_service(stack)
        reply = client.reply()
    assert reply.refusal == (503, "stopping")
    assert reply.header("x-should-retry") == "true"
    session = on_record(stack, reply.session)
    assert kinds(session) == ["request.received", "request.refused", "exchange.ended"]
    until_gone(stopped)
    assert_goes_on(stack)


def test_who_waits_with_more_than_envoy_can_send_again_is_told_to_come_again(stack: Stack) -> None:
    body = json.dumps(chat("x " * 50_000)).encode()
    with contractor(stack, "lou").asking(body) as client:
        hold = hold_of(stack, "lou")
        stopped = stop_service(stack)
        reply = client.reply()
    assert reply.refusal == (409, "approval_pending")
    assert reply.header("x-should-retry") == "true"
    until_gone(stopped)
    assert_goes_on(stack)
    approve(stack, hold_of(stack, "lou", waiting=0))
    assert contractor(stack, "lou").ask(body).status == 200
    assert on_record(stack, reply.session)["hold"] == hold["id"]
