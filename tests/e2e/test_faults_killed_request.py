"""The service is killed before it has decided: nothing goes to the model, and what was held goes on."""

from __future__ import annotations

import json

from tests.e2e.faults import RESTART, assert_goes_on, held_again, kill_service
from tests.e2e.people import approve, ask, chat, hold_of, in_background, received, said, until
from tests.e2e.plain import HELLO, contractor, data_of, kinds, live, on_record, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack

LARGER_THAN_ENVOY_KEEPS = 200_000
"""Bytes of a body that Envoy cannot send a second time: it keeps 64 KiB of a request."""


def test_killed_while_it_reads_a_request_it_has_the_client_send_it_again(stack: Stack) -> None:
    caller = staff(stack, "reader")
    seen = len(stack.upstream.requests)
    until(lambda: live(stack) == 0, "nothing else is in hand")
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(caller.head(size=len(HELLO)) + HELLO[:9])
        until(lambda: live(stack) == 1, "the service reads the body")
        kill_service(stack)
        client.send(HELLO[9:])
        reply = client.reply()
    assert reply.refusal == (503, "restarted")
    assert reply.header("x-should-retry") == "true"
    assert len(stack.upstream.requests) == seen
    session = on_record(stack, reply.session)
    assert kinds(session) == ["request.received", "request.refused", "exchange.ended"]
    assert_goes_on(stack)


def test_killed_while_it_holds_a_request_the_open_connection_is_taken_up_again(stack: Stack) -> None:
    body = json.dumps(chat("Outlive me")).encode()
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(contractor(stack, "waiter").head(size=len(body)) + body)
        hold = hold_of(stack, "waiter")
        kill_service(stack)
        approve(stack, held_again(stack, hold))
        reply = client.reply()
    assert reply.status == 200
    assert received(stack, "Outlive me") == [body]
    session = on_record(stack, reply.session)
    happened = kinds(session)
    assert happened.count("request.received") == 1
    order = ["hold.opened", "exchange.recovered", "hold.attached", "request.released", "exchange.ended"]
    assert [kind for kind in happened if kind in order] == order
    assert session["status"] == "completed"


def test_killed_while_it_holds_a_large_request_the_sdks_own_retry_finds_the_hold(stack: Stack) -> None:
    text = "Outlive me too" + " please" * (LARGER_THAN_ENVOY_KEEPS // 7)
    client = stack.sdk("returner", "contractors", max_retries=20)
    answer = in_background(lambda: ask(client, text))
    hold = hold_of(stack, "returner")
    kill_service(stack)
    approve(stack, held_again(stack, hold))
    assert said(answer.result(RESTART)) == "Hello from upstream."
    assert len(received(stack, "Outlive me too")) == 1
    first = stack.session(hold["session"])
    assert first["status"] == "interrupted"
    recovered = {"request_released": False, "answer_released": False}
    assert data_of(first, "exchange.recovered") == recovered
