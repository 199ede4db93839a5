"""Every wait ends in time, settled or not, whatever became of those before it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from authz_service.errors import Unavailable
from authz_service.store import waits as module
from authz_service.store.waits import Waits


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def test_each_wait_ends_in_its_turn_also_those_that_began_later(run: Any) -> None:
    async def scenario() -> None:
        waits = Waits(asyncio.get_running_loop(), patience=0.2)
        first = waits.begin()
        await asyncio.sleep(0.05)
        second = waits.begin()
        await until(first.future.done)
        for wait in (first, second):
            with pytest.raises(Unavailable):
                await wait.future
            assert not wait.is_wanted()
        third = waits.begin()  # nothing was waited for in between
        with pytest.raises(Unavailable):
            await third.future

    run(scenario())


def test_a_wait_that_was_settled_or_left_is_let_go_of_and_the_next_still_ends(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def scenario() -> None:
        waits = Waits(asyncio.get_running_loop(), patience=0.2)
        settled, left, open_still = waits.begin(), waits.begin(), waits.begin()
        settled.future.set_result(1)
        left.future.cancel()
        assert open_still.is_wanted()
        waits.forget_settled()
        assert list(waits._waits) == [open_still]
        now[0] = 0.2
        with pytest.raises(Unavailable):
            await open_still.future
        assert settled.future.result() == 1
        assert not waits._waits

    run(scenario())


def test_a_wait_is_not_wanted_once_its_time_is_over_even_if_its_loop_has_not_noticed(run: Any) -> None:
    async def scenario() -> None:
        waits = Waits(asyncio.get_running_loop(), patience=0.0)
        wait = waits.begin()
        assert not wait.future.done()
        assert not wait.is_wanted()

    run(scenario())
