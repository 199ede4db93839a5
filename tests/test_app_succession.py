"""A process that serves alone leaves a note as it ends, with nothing in hand; workers take it away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.servers.ext_proc_fakes import serving

from authz_service.app.answering import _drained, _succession_of
from authz_service.keys.crew import Part
from authz_service.runtime.gateway import Gateway

LONE, WORKER = Part(1), Part(2, 0)


def run(folder: Path, scene: Callable[[Gateway], Awaitable[None]]) -> None:
    """With the gateway of a process that serves."""

    async def scenario() -> None:
        async with asyncio.timeout(100), serving(folder) as service:
            await scene(service.gateway)

    asyncio.run(scenario())


def base(folder: Path, part: Part) -> Any:
    """What a process is made of, as far as the note asks for it."""
    return SimpleNamespace(settings=SimpleNamespace(part=part, data=SimpleNamespace(sockets=folder)))


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "in-order-since"


def test_one_that_ends_with_nothing_in_hand_leaves_since_when_and_the_next_one_takes_it(
    tmp_path: Path, note: Path
) -> None:
    async def scene(gateway: Gateway) -> None:
        gateway.started_at = 100.0
        await _drained(gateway, 0.0, _succession_of(base(tmp_path, LONE), gateway))
        assert note.exists()
        gateway.started_at = 200.0
        _succession_of(base(tmp_path, LONE), gateway)
        assert gateway.in_order_since == 100.0
        assert not note.exists()

    run(tmp_path, scene)


def test_one_that_ends_with_an_exchange_in_hand_leaves_none(
    tmp_path: Path, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.runtime.draining.CUT_SECONDS", 0.01)

    async def scene(gateway: Gateway) -> None:
        gateway.live.add("ses_that_never_ends")
        await _drained(gateway, 0.0, _succession_of(base(tmp_path, LONE), gateway))
        gateway.live.clear()
        assert not note.exists()

    run(tmp_path, scene)


def test_workers_take_away_what_a_lone_one_left_and_leave_none(tmp_path: Path, note: Path) -> None:
    async def scene(gateway: Gateway) -> None:
        note.write_text("100.0")
        succession = _succession_of(base(tmp_path, WORKER), gateway)
        assert not note.exists()
        await _drained(gateway, 0.0, succession)
        assert not note.exists()

    run(tmp_path, scene)
