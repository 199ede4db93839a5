"""A service that hangs: whoever waits for it is told so within seconds, and nothing gets past it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.faults import assert_goes_on, suspended
from tests.e2e.people import hold_of, in_background, until
from tests.e2e.plain import HELLO, contractor, data_of, live, on_record, staff
from tests.e2e.raw_client import RawClient, Reply
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream

WORDS = stream(["Hello there, ", "how are you?"])
LONGEST = 120.0
"""Seconds: Envoy needs forty of them to give up, where nothing else stands still."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose callers are not told to come back while the service hangs."""
    with Stack(tmp_path_factory.mktemp("hanging"), wait="5m") as running:
        yield running


@pytest.mark.timeout(240)
def test_a_service_that_hangs_is_503_for_all_and_goes_on_when_it_wakes(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = WORDS.steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    url = stack.url
    with RawClient(url, timeout=LONGEST) as listener, RawClient(url, timeout=LONGEST) as waiter:
        listener.send(staff(stack).head(size=len(HELLO)) + HELLO)
        _, headers = listener.reply_head()
        listener.read_until(b"there, ")
        waiter.send(contractor(stack, "waiter").head(size=len(HELLO)) + HELLO)
        hold = hold_of(stack, "waiter")
        seen = len(stack.upstream.requests)
        with suspended(stack.child("serve")):
            late = in_background(lambda: late_request(stack))
            gate.open()
            assert waiter.reply().refusal == (503, "gateway_unavailable")
            assert late.result(LONGEST).refusal == (503, "gateway_unavailable")
            rest_of_it = listener.read_until(b"\r\n0\r\n")
        assert b"how are you?" not in rest_of_it, "nobody had looked at it"
    assert not rest_of_it.endswith(b"\r\n0\r\n")
    assert len(stack.upstream.requests) == seen
    assert_goes_on(stack)
    ended = data_of(on_record(stack, dict(headers)["x-authz-session"]), "exchange.ended")
    assert ended["outcome"] == "broken_off"
    assert hold_of(stack, "waiter", waiting=0)["id"] == hold["id"]
    until(lambda: live(stack) == 0, "nothing is left in hand")


def late_request(stack: Stack) -> Reply:
    """A request to a service that does nothing any more."""
    with RawClient(stack.url, timeout=LONGEST) as client:
        client.send(staff(stack).head(size=len(HELLO)) + HELLO)
        return client.reply()
