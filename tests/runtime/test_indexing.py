"""The index follows the record, and a search does not wait for ever."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from authz_service.errors import Unavailable
from authz_service.runtime import indexing
from authz_service.runtime.indexing import Indexing


class Steps:
    """A store with so many steps to take; `is_away` makes it refuse."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[bool] = []
        self.is_away = False

    async def index_step(self, *, has_texts: bool) -> bool:
        await asyncio.sleep(0)
        self.asked.append(has_texts)
        if self.is_away:
            raise Unavailable("the database is away") if len(self.asked) % 2 else KeyError("a fault of ours")
        self.left -= 1
        return self.left >= 0


def test_a_refresh_takes_in_all_that_is_there() -> None:
    store = Steps(5)
    assert asyncio.run(Indexing(store, has_texts=True).refresh())
    assert store.asked == [True] * 6


def test_a_refresh_of_too_much_says_that_it_is_not_done() -> None:
    store = Steps(10**9)
    assert not asyncio.run(Indexing(store, has_texts=False, patience=0.0).refresh())
    assert store.asked == [False]


def test_the_record_is_followed_over_a_time_without_a_store() -> None:
    indexing_poll, indexing.POLL_SECONDS = indexing.POLL_SECONDS, 0.001
    store = Steps(3)
    store.is_away = True

    async def scenario() -> None:
        following = asyncio.create_task(Indexing(store, has_texts=True).run())
        async with asyncio.timeout(60):
            while len(store.asked) < 3:
                await asyncio.sleep(0.001)
            store.is_away = False
            while store.left >= 0:
                await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    try:
        asyncio.run(scenario())
    finally:
        indexing.POLL_SECONDS = indexing_poll


def test_what_goes_wrong_again_and_again_is_logged_once_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "POLL_SECONDS", 0.001)

    class Damaged(Steps):
        async def index_step(self, *, has_texts: bool) -> bool:
            self.asked.append(has_texts)
            if len(self.asked) != 4:  # then it goes well, once
                raise Unavailable("it is damaged")
            return False

    store = Damaged(0)

    async def scenario() -> None:
        following = asyncio.create_task(Indexing(store, has_texts=True).run())
        async with asyncio.timeout(60):
            while len(store.asked) < 9:
                await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [(line["event"], line["error"]) for line in logs] == [("index.waits", "it is damaged")] * 2
