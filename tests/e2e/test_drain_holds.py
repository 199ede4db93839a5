"""While a stop waits for a stream, those who wait for people stay, and are told of decisions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.faults import RESTART, held_again, stop_service, until_gone
from tests.e2e.people import approve, chat, hold_of, in_background, until
from tests.e2e.plain import contractor, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream

PATIENCE = "120"
"""Longer than Envoy asks about those who are let go."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stop"), wait="5m", options=("--drain", PATIENCE)) as running:
        yield running


def is_stopping(stack: Stack) -> bool:
    """Whether the service that was asked to stop is about it."""
    address = str(stack.info["metrics"]).replace("/metrics", "/ready")
    return httpx.get(address, timeout=60).status_code == 503


def test_who_waits_is_decided_during_a_stop_and_found_again_after_it(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with (
        staff(stack).asking() as listener,
        RawClient(stack.url, timeout=RESTART) as lou,
        RawClient(stack.url, timeout=RESTART) as sam,
    ):
        listener.read_until(b"there, ")
        for client, name in ((lou, "lou"), (sam, "sam")):
            body = json.dumps(chat(f"Outlive a slow stop, {name}")).encode()
            client.send(contractor(stack, name).head(size=len(body)) + body)
        holds = {name: hold_of(stack, name) for name in ("lou", "sam")}
        stopped = stop_service(stack)
        until(lambda: is_stopping(stack), "the service has heard of it")
        approve(stack, holds["lou"])
        assert lou.reply().status == 200
        assert stack.child("serve") == stopped, "the process that stops has told them"
        assert hold_of(stack, "sam")["id"] == holds["sam"]["id"]
        told = in_background(sam.reply)
        gate.open()
        until_gone(stopped)
        approve(stack, held_again(stack, holds["sam"]))
        assert told.result(RESTART).status == 200
