"""An approved hold whose bytes are named by what is no digest ends nobody's process: others are released."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.store.damaged_holds import LIMITS, change, code_of, opened
from tests.store.places import Place

from authz_service.core.events import HoldApproved
from authz_service.core.ports import DAMAGED
from authz_service.runtime.pacing import Pace
from authz_service.runtime.waiting import Waiting, WatchEvent

FORWARD = "UPDATE holds SET forward = 'what SQLite takes for a text' WHERE id = :id"


def test_it_is_read_as_damaged(sqlite_url: str, make: Any, run: Any) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            change(place, FORWARD, id=hold.id)
            assert await code_of(store.holds_now([hold.id])) == DAMAGED

    run(scenario())


def test_who_waits_beside_it_has_their_turn(sqlite_url: str, make: Any, run: Any) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            bad, good = [await opened(store, make, request) for request in ("one", "another")]
            for hold in (bad, good):
                await store.vote(make.ballot(hold), LIMITS)
            change(place, FORWARD, id=bad.id)
            waiting = Waiting(store, Pace(lambda: 1000.0))
            told: asyncio.Future[WatchEvent] = asyncio.get_running_loop().create_future()
            waiting.watch(bad.id, lambda _event: None, seconds=100)
            waiting.watch(good.id, told.set_result, seconds=100)
            running = asyncio.create_task(waiting.run())
            assert isinstance(await asyncio.wait_for(told, 60), HoldApproved)
            assert not running.done()
            running.cancel()

    run(scenario())
