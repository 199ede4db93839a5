"""A changed hold is told of as soon as it is committed: here, and on PostgreSQL to other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits, HoldSummary
from authz_service.store.news import IDS_AT_ONCE, payloads
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits(pending_per_caller=10_000)


class Heard:
    """The ids that came, and who waits for one."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._moved = asyncio.Event()

    def __call__(self, holds: Collection[str]) -> None:
        self.ids += holds
        self._moved.set()

    async def until(self, hold: str) -> None:
        while hold not in self.ids:
            self._moved.clear()
            await self._moved.wait()


@asynccontextmanager
async def listening(store: SqlStore) -> AsyncIterator[Heard]:
    heard = Heard()
    store.news.subscribe(heard)
    task = asyncio.create_task(store.listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def opened(store: SqlStore, draft: Any) -> HoldSummary:
    opening = await store.open_hold(draft, LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def listeners(url: str) -> list[int]:
    """The processes of the server that serve our listening connections."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'authz listener' AND state = 'idle'"
    query += " AND datname = current_database()"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return [row[0] for row in await (await connection.execute(query)).fetchall()]


def test_whoever_listens_in_this_process_is_told_of_each_change(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            heard = Heard()
            store.news.subscribe(heard)
            hold = await opened(store, make.hold())
            await heard.until(hold.id)
            heard.ids.clear()
            await store.vote(make.ballot(hold), LIMITS)
            await heard.until(hold.id)
            heard.ids.clear()
            assert await store.consume(
                hold.id, digest=hold.digest, session=hold.session, entries=[make.released(hold.session)]
            )
            await heard.until(hold.id)

    run(scenario())


def test_what_changes_no_hold_is_no_news(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            heard = Heard()
            store.news.subscribe(heard)
            await store.append(make.received("s1"), make.decided("s1"), make.released("s1"))
            hold = await opened(store, make.hold())
            await heard.until(hold.id)
            assert heard.ids == [hold.id]

    run(scenario())


@pytest.mark.postgres
def test_another_process_on_the_same_postgresql_is_told(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with place.store() as one, place.store(instance="two") as two, listening(two) as heard:
            hold = await opened(one, make.hold())
            while hold.id not in heard.ids:  # until it listens nothing is heard
                hold = await opened(one, make.hold(request=hold.id))
                await asyncio.sleep(0.05)
            heard.ids.clear()
            await one.vote(make.ballot(hold), LIMITS)
            await heard.until(hold.id)

    run(scenario())


@pytest.mark.postgres
def test_a_listening_connection_that_breaks_is_made_anew(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with place.store() as one, place.store(instance="two") as two, listening(two) as heard:
            while not (first := await listeners(postgres_url)):
                await asyncio.sleep(0.02)
            async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
                await connection.execute("SELECT pg_terminate_backend(%s)", (first[0],))
            while first[0] in (now := await listeners(postgres_url)) or not now:
                await asyncio.sleep(0.02)
            number = 0
            while not heard.ids:
                number += 1
                await opened(one, make.hold(request=str(number)))
                await asyncio.sleep(0.05)

    run(scenario())


def test_more_ids_than_one_notification_holds_go_in_several() -> None:
    ids = [f"hold_{number:026}" for number in range(2 * IDS_AT_ONCE + 1)]
    parts = payloads(ids)
    assert len(parts) == 3
    assert ",".join(parts).split(",") == ids
    assert all(len(part) < 8000 for part in parts)
