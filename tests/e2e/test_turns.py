"""Large requests of one caller wait for their turn up to a limit; more are refused, and others are not."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.e2e.people import chat, in_background, until
from tests.e2e.plain import Plain, data_of, kinds, on_record, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack

from authz_service.runtime.judging import LARGEST_INLINE
from authz_service.runtime.threads import MOST_WAITING

LARGE = json.dumps(chat("a " * LARGEST_INLINE)).encode()
GATED = json.dumps(chat("GATED " + "a " * LARGEST_INLINE)).encode()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first request's reading waits at."""
    path = tmp_path_factory.mktemp("gate") / "gate"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Iterator[Stack]:
    """It waits at the gate when it reads what says GATED."""
    environment = {"PYTHONPATH": str(Path(__file__).parent / "gated"), "GATE": str(gate)}
    with Stack(tmp_path_factory.mktemp("turns"), environment=environment) as running:
        yield running


def holding(gate: Path) -> int | None:
    """The gate's other end, once somebody waits there; who waits goes on when it is closed."""
    with suppress(OSError):  # ENXIO: nobody does yet
        return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    return None


def asked(caller: Plain, body: bytes, times: int, until_closed: ExitStack) -> list[RawClient]:
    """So many requests under way, each on a connection of its own."""
    clients = [until_closed.enter_context(RawClient(caller.stack.url)) for _ in range(times)]
    for client in clients:
        client.send(caller.head(size=len(body)) + body)
    return clients


def answered(clients: Sequence[RawClient], within: float) -> list[RawClient]:
    """Those that an answer has come to, as soon as there is one."""
    found, _, _ = select.select(clients, [], [], within)
    return list(found)


def test_one_too_many_of_a_caller_is_429_and_the_others_get_their_turn(stack: Stack, gate: Path) -> None:
    alice, carol = staff(stack, "alice"), staff(stack, "carol")
    before = len(stack.upstream.requests)
    with ExitStack() as connections:
        first = asked(alice, GATED, 1, connections)
        held = until(lambda: holding(gate), "the first is being read")
        assert held is not None
        release = connections.enter_context(ExitStack())
        release.callback(os.close, held)
        waiting = asked(alice, LARGE, MOST_WAITING + 1, connections)
        (refused,) = answered(waiting, 30)
        reply = refused.reply()
        assert reply.refusal == (429, "too_many_waiting")
        assert (reply.header("retry-after"), reply.header("x-should-retry")) == ("1", "true")
        other = asked(carol, LARGE, 1, connections)
        small = alice.ask(json.dumps(chat("Hello")).encode())
        assert small.status == 200
        waiting.remove(refused)
        assert answered([*first, *waiting, *other], 0) == []
        assert len(stack.upstream.requests) == before + 1
        release.close()
        replies = [in_background(client.reply) for client in (*first, *waiting, *other)]
        assert {reply.result(60).status for reply in replies} == {200}
    assert len(stack.upstream.requests) == before + 1 + 1 + MOST_WAITING + 1
    session = on_record(stack, reply.session)
    assert kinds(session) == ["request.received", "request.refused", "exchange.ended"]
    assert data_of(session, "request.refused") == {"code": "too_many_waiting", "status": 429}
