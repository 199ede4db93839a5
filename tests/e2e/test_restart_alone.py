"""A service without workers is stopped and started under requests: they wait at Envoy, and none fails."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import httpx
import pytest
from tests.e2e.faults import RESTART, stop_service, until_gone
from tests.e2e.people import chat, in_background, until
from tests.e2e.plain import Plain, staff
from tests.e2e.raw_client import RawClient, Reply
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream

EACH = 100
"""Requests that come while the process stops, and again while there is none."""
LARGE = " and on" * 21_000
"""More than Envoy can send again."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose service gets some time to stop."""
    with Stack(tmp_path_factory.mktemp("alone"), options=("--drain", "20")) as running:
        yield running


def asked(caller: Plain, number: int) -> Reply:
    """One of many: every third a stream, every tenth large."""
    text = f"number-{number:03}-" + LARGE * (number % 10 == 0)
    body = json.dumps(chat(text, stream=number % 3 == 0)).encode()
    with RawClient(caller.stack.url, timeout=RESTART) as client:
        client.send(caller.head(size=len(body)) + body)
        return client.reply()


def all_of(stack: Stack, first: int) -> list[Future[Reply]]:
    caller = staff(stack)
    return [in_background(partial(asked, caller, number)) for number in range(first, first + EACH)]


def active(stack: Stack) -> int:
    """Requests that Envoy has in hand."""
    admin = httpx.HTTPTransport(uds=str(stack.data / "run" / "envoy-admin.sock"))
    with httpx.Client(transport=admin, timeout=60) as client:
        said = client.get("http://envoy/stats?filter=http.gateway.downstream_rq_active").text
    return int(re.findall(r"downstream_rq_active: (\d+)", said)[0])


def test_of_two_hundred_requests_over_a_stop_and_a_start_none_fails_and_each_is_asked_once(
    stack: Stack,
) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as listener:
        listener.read_until(b"there, ")  # it keeps the process that stops from ending
        stopped = stop_service(stack)
        until(lambda: probe(stack) == 503, "it has heard of it")
        waiting = all_of(stack, 0)
        until(lambda: active(stack) == EACH + 1, "all of them are with Envoy")
        assert stack.child("serve") == stopped
        gate.open()
        assert b"how are you?" in listener.read_until(b"\r\n0\r\n\r\n")
    until_gone(stopped)
    waiting += all_of(stack, EACH)
    came_to = Counter(answer.result(RESTART).status for answer in waiting)
    assert came_to == {200: 2 * EACH}
    marks = [re.findall(rb"number-(\d{3})-", request.body) for request in stack.upstream.requests]
    assert sorted(mark for found in marks for mark in found) == [b"%03d" % n for n in range(2 * EACH)]
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def probe(stack: Stack) -> int:
    """What `/ready` says."""
    return httpx.get(str(stack.info["metrics"]).replace("/metrics", "/ready"), timeout=60).status_code
