"""A database that is full, locked or away: the request stops, nothing is half done, and it recovers."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest
from sqlalchemy import event
from tests.store.full_disks import set_most_pages

from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Unavailable
from authz_service.store.sql_store import SqlStore


def test_a_full_disk_stops_what_needs_room_and_traffic_resumes_by_itself(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            await set_most_pages(store, 1)  # it becomes the present size
            large = b"x" * 1_000_000
            said = await asyncio.gather(
                store.append(make.released("s1", large)),
                store.open_hold(make.hold("s2", forward=large), make.limits),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [Unavailable, Unavailable]
            assert "disk" not in str(said[0])
            await set_most_pages(store, 1_000_000)
            await store.append(make.released("s1", large))
            assert [e.kind for e in await store.entries("s1")] == ["request.received", "request.released"]
            assert await store.entries("s2") == []

    if "sqlite" in place.url:
        run(scenario())
    else:
        run(full_postgres(place, make))


async def full_postgres(place: Any, make: Any) -> None:
    """PostgreSQL says it is full by an error like any other; a trigger raises the same one (53100)."""
    async with place.store() as store:
        await store.append(make.received("s1"))
        body = (
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$"
        )
        await execute(place, body)
        await execute(place, "CREATE TRIGGER f BEFORE INSERT ON payloads EXECUTE FUNCTION full_disk()")
        with pytest.raises(Unavailable):
            await store.append(make.released("s1"))
        await execute(place, "DROP TRIGGER f ON payloads")
        await store.append(make.released("s1"))
        assert [e.sequence for e in await store.entries("s1")] == [1, 2]


async def execute(place: Any, statement: str) -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(place.url, autocommit=True) as connection:
        await connection.execute(statement.encode())


def test_a_locked_database_stops_writers_only_and_traffic_resumes_by_itself(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            waits_for_a_lock(store, 0.3)
            await store.append(make.received("s1"))
            unlock = await lock(place)
            said = await asyncio.gather(
                store.append(make.ended("s1")),
                store.open_hold(make.hold("s2"), make.limits),
                store.expire_overdue(),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [Unavailable] * 3
            assert len(await store.entries("s1")) == 1  # reading goes on
            await unlock()
            await until_it_writes(store, make)
            assert len(await store.entries("s1")) == 1
            assert await store.entries("s2") == []

    run(scenario())


def waits_for_a_lock(store: SqlStore, seconds: float) -> None:
    """Its writer waits for a lock no longer than this, and for anything else as long as before."""
    milliseconds = round(seconds * 1000)

    def set_wait(connection: Any, *_: Any) -> None:
        connection.execute(waits.format(milliseconds))

    engine = store._database.writing
    waits = "PRAGMA busy_timeout = {}" if engine.dialect.name == "sqlite" else "SET lock_timeout = {}"
    event.listen(engine, "checkout", set_wait)


async def lock(place: Any) -> Any:
    """Another connection takes the lock that writers need; how to let go of it."""
    if "sqlite" in place.url:
        other = sqlite3.connect(place.url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        async def close() -> None:
            other.close()

        return close
    import psycopg

    connection = await psycopg.AsyncConnection.connect(place.url)
    await connection.execute("SELECT * FROM head FOR UPDATE")
    return connection.close


async def until_it_writes(store: SqlStore, make: Any) -> None:
    """Traffic goes on as before; the first attempts may still be told that it does not."""
    for attempt in range(200):
        try:
            return await store.append(make.received(f"again-{attempt}"))
        except Unavailable:
            await asyncio.sleep(0.02)
    raise AssertionError("the store did not recover")


@pytest.mark.postgres
def test_a_postgresql_that_crashes_and_comes_back(
    postgres: Any, make: Any, run: Any, postgres_url: str
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store() as store:
            opening = await store.open_hold(make.hold("s1"), make.limits)
            assert isinstance(opening, Opened)
            await asyncio.to_thread(postgres.kill)
            ballot = make.ballot(opening.hold)
            said = await asyncio.gather(
                store.append(make.ended("s1")),
                store.vote(ballot, make.limits),
                store.hold(opening.hold.id),
                store.now(),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [Unavailable] * 4
            await asyncio.to_thread(postgres.start)
            voted = await store.vote(ballot, make.limits)
            assert voted.state is HoldState.APPROVED
            assert [e.kind for e in await store.entries("s1")][-2:] == ["hold.voted", "hold.approved"]

    run(scenario())


@pytest.mark.postgres
def test_a_connection_that_was_lost_while_idle_is_replaced_unnoticed(
    postgres: Any, make: Any, run: Any, postgres_url: str
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            await execute(place, ends + " AND datname = current_database()")
            await store.append(make.ended("s1"))
            assert len(await store.entries("s1")) == 2

    run(scenario())


@pytest.mark.postgres
def test_a_connection_that_is_lost_before_commit_is_replaced_and_the_unit_run_again(
    make: Any, run: Any, postgres_url: str
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store() as store:
            attempts: list[int] = []

            def is_cut_off_once(transaction: Any) -> None:
                transaction.record(make.received("s1"))
                driver = transaction._connection.connection.driver_connection
                attempts.append(driver.info.backend_pid)
                if len(attempts) == 1:
                    asyncio.run(execute(place, f"SELECT pg_terminate_backend({attempts[0]}, 5000)"))

            await store._writer.run(is_cut_off_once)
            assert len(set(attempts)) == 2
            assert [e.sequence for e in await store.entries("s1")] == [1]

    run(scenario())


@pytest.mark.postgres
def test_a_transaction_that_failed_unseen_is_not_taken_for_committed(
    make: Any, run: Any, postgres_url: str
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store() as store:

            def swallows(transaction: Any) -> None:
                transaction.record(make.received("s1"))
                transaction._ledger.flush(transaction._connection)
                driver = transaction._connection.connection.driver_connection
                with pytest.raises(Exception, match="division by zero"):
                    driver.execute("SELECT 1 / 0")
                transaction._ledger._recorded = 0  # nothing more to write, so that COMMIT comes next

            with pytest.raises(Unavailable):
                await store._writer.run(swallows)
            assert await store.entries("s1") == []
            await store.append(make.received("s1"))

    run(scenario())


def test_bytes_that_were_altered_in_the_database_are_never_handed_out(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            opening = await store.open_hold(make.hold("s1"), make.limits)
            assert isinstance(opening, Opened)
            change = "UPDATE payloads SET body = body || body"
            if "sqlite" in place.url:
                with sqlite3.connect(place.url.removeprefix("sqlite:///")) as other:
                    other.execute("UPDATE payloads SET body = CAST(body || body AS BLOB)")
                other.close()
            else:
                await execute(place, change)
            await store.vote(make.ballot(opening.hold), make.limits)
            for call in (store.hold(opening.hold.id), store.held_bytes([opening.hold.id])):
                with pytest.raises(Unavailable, match="damaged"):
                    await call

    run(scenario())


def test_a_state_that_was_altered_in_the_database_releases_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            opening = await store.open_hold(make.hold("s1"), make.limits)
            assert isinstance(opening, Opened)
            await store._writer.run(
                lambda t: t._connection.exec_driver_sql("UPDATE holds SET state = 'approved'")
            )
            hold = opening.hold
            assert not await store.consume(
                hold.id, digest=hold.digest, session="s1", entries=[make.released("s1")]
            )

    run(scenario())
