"""The service is stopped in order and started again: who waits goes on waiting, who is answered goes on."""

from __future__ import annotations

import json

import pytest
from tests.e2e.faults import RESTART, assert_goes_on, held_again, stop_service, until_gone
from tests.e2e.people import approve, chat, hold_of, received
from tests.e2e.plain import contractor, data_of, kinds, on_record, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream


@pytest.mark.parametrize("size", [14, 30_000])
def test_a_held_request_is_taken_up_again_on_its_open_connection(stack: Stack, size: int) -> None:
    subject, text = f"waiter-{size}", f"Outlive a restart {size} " + "x" * size
    body = json.dumps(chat(text)).encode()
    with RawClient(stack.url, timeout=RESTART) as client:
        client.send(contractor(stack, subject).head(size=len(body)) + body)
        hold = hold_of(stack, subject)
        until_gone(stop_service(stack))
        approve(stack, held_again(stack, hold))
        reply = client.reply()
    assert reply.status == 200
    assert received(stack, f"Outlive a restart {size} ") == [body]
    happened = kinds(on_record(stack, reply.session))
    assert happened.count("exchange.ended") == 1, "the stop was no end"
    assert "exchange.recovered" in happened


def test_an_answer_under_way_gets_to_its_end(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as client:
        _, headers = client.reply_head()
        client.read_until(b"there, ")
        stop_service(stack)
        gate.open()
        rest_of_it = client.read_until(b"\r\n0\r\n\r\n")
    assert b"how are you?" in rest_of_it
    assert rest_of_it.endswith(b"\r\n0\r\n\r\n")
    session = on_record(stack, dict(headers)["x-authz-session"])
    assert data_of(session, "exchange.ended")["outcome"] == "completed"
    assert_goes_on(stack)
