"""The writer: groups, poison, bounds, callers that leave, and never a wait without end."""

from __future__ import annotations

import asyncio
import itertools
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from tests.store.edits import edit
from tests.store.hurry import Hurry

from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Conflict, NotFound, Unavailable
from authz_service.store.batch import Committer
from authz_service.store.connecting import open_database
from authz_service.store.database import HighWater
from authz_service.store.faults import DatabaseFault
from authz_service.store.heads import Heads
from authz_service.store.transaction import Transaction
from authz_service.store.writer import Writer, WriterLimits


class Gate:
    """A unit that keeps the writer busy until it is opened, so that a group gathers behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _transaction: Transaction) -> None:
        self.entered.set()
        self._open.wait(60)

    def open(self) -> None:
        self._open.set()


@asynccontextmanager
async def writer_on(url: str, **limits: Any) -> AsyncIterator[tuple[Writer, Callable[[], list[str]]]]:
    """A writer, and what sessions its entries are of."""
    database = open_database(url)
    committer = Committer(database, instance="one", pseudonym=str, high_water=HighWater(), heads=Heads(None))
    writer = Writer(committer, WriterLimits(**limits))

    def recorded() -> list[str]:
        with database.reading.connect() as connection:
            return list(connection.execute(text("SELECT session FROM entries ORDER BY seq")).scalars())

    try:
        yield writer, recorded
    finally:
        await writer.close()
        database.close()


async def gated(writer: Writer, *works: Any, sizes: tuple[int, ...] = ()) -> list[Any]:
    """Run `works` as one group; their results or errors."""
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await asyncio.to_thread(gate.entered.wait, 60)
    padded = sizes or (0,) * len(works)
    tasks = [asyncio.create_task(writer.run(w, size=s)) for w, s in zip(works, padded, strict=True)]
    await asyncio.sleep(0)
    gate.open()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_a_unit_that_fails_after_it_changed_something_spoils_no_other(
    place: Any, make: Any, run: Any
) -> None:
    def records(session: str) -> Any:
        return lambda t: t.record(make.received(session)).last

    def fails(t: Transaction) -> None:
        t.record(make.received("failed"))
        raise ZeroDivisionError

    def refuses_late(t: Transaction) -> None:
        t.record(make.received("refused"))
        raise Conflict("too late")

    def refuses(_t: Transaction) -> None:
        raise Conflict("at once")

    def repeats(t: Transaction) -> None:
        t.record(make.received("a"))

    def breaks(t: Transaction) -> None:
        t._connection.execute(text("INSERT INTO entries (seq, session) VALUES (9, 'a')"))

    async def scenario() -> None:
        async with writer_on(place.url) as (writer, recorded):
            works = (records("a"), fails, records("b"), refuses_late, refuses, repeats, breaks, records("c"))
            said = await gated(writer, *works)
            assert [type(s) for s in said] == [
                int,
                ZeroDivisionError,
                int,
                Conflict,
                Conflict,
                Conflict,
                DatabaseFault,
                int,
            ]
            assert recorded() == ["a", "b", "c"]
            assert [s for s in said if isinstance(s, int)] == [1, 2, 3]
            assert await writer.run(records("d")) == 4

    run(scenario())


def test_a_database_error_names_no_recorded_value(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(place.url) as (writer, _recorded):
            null = text("INSERT INTO entries (seq, session) VALUES (9, 'secret')")
            with pytest.raises(DatabaseFault) as error:
                await writer.run(lambda t: t._connection.execute(null))
            assert "secret" not in "".join(traceback.format_exception(error.value))
            assert error.value.__cause__ is None

    run(scenario())


def test_a_group_without_a_fault_is_one_transaction(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(place.url) as (writer, recorded):
            times: list[int] = []

            def work(t: Transaction) -> None:
                times.append(t.now)
                t.record(make.received(f"s{len(times)}"))

            await gated(writer, *[work] * 50)
            assert len(set(times)) == 1
            assert len(recorded()) == 50

    run(scenario())


def test_a_full_queue_refuses_at_once_by_number_and_by_bytes(sqlite_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url, queued_units=3, queued_bytes=100) as (writer, _recorded):
            said = await gated(writer, *[lambda t: t.now] * 5)
            assert [type(s) for s in said] == [int, int, int, Unavailable, Unavailable]
            said = await gated(writer, *[lambda t: t.now] * 3, sizes=(60, 60, 40))
            assert [type(s) for s in said] == [int, Unavailable, int]
            assert isinstance(await writer.run(lambda t: t.now, size=1000), int)  # alone it is let in

    run(scenario())


def test_votes_of_one_call_count_with_their_reasons(sqlite_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with make.place(sqlite_url).store() as store:
            reason = "x" * (WriterLimits().queued_bytes // 100)
            unknown = [make.hold() for _ in range(60)]
            ballots = [replace(make.ballot(hold), reason=reason) for hold in unknown]
            gate = Gate()
            first = asyncio.create_task(store._writer.run(gate))
            await asyncio.to_thread(gate.entered.wait, 60)
            waiting = asyncio.create_task(store.vote_all(ballots, HoldLimits()))
            while not store._writer.queued:
                await asyncio.sleep(0)
            with pytest.raises(Unavailable):
                await store.vote_all(ballots, HoldLimits())
            gate.open()
            await first
            assert {type(said) for said in await waiting} == {NotFound}

    run(scenario())


def test_an_edit_counts_with_its_bytes_and_with_what_it_changed(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with make.place(sqlite_url).store() as store:
            opening = await store.open_hold(make.hold(), HoldLimits())
            assert isinstance(opening, Opened)
            made = edit(opening.hold, b"x" * 1000)
            assert made.revision is not None
            told: list[int] = []

            async def counting(work: Any, *, size: int) -> Any:
                told.append(size)
                return work

            monkeypatch.setattr(store._writer, "run", counting)
            await store.act(replace(made, revision=replace(made.revision, changes=b"y" * 100)), HoldLimits())
            assert told == [1100 + len(made.text)]

    run(scenario())


def test_large_units_are_committed_in_groups_of_bounded_size(sqlite_url: str, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url, group_bytes=100) as (writer, _recorded):
            seen: list[Any] = []
            works = [lambda t: seen.append(t._ledger) for _ in range(4)]
            await gated(writer, *works, sizes=(60, 90, 30, 300))
            assert [a is b for a, b in itertools.pairwise(seen)] == [True, False, False]

    run(scenario())


def test_a_small_unit_waits_for_one_large_one_of_those_before_it(sqlite_url: str, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url, group_bytes=100) as (writer, _recorded):
            order: list[str] = []
            works = [lambda _t, name=name: order.append(name) for name in ("1", "2", "3", "a", "b", "4")]
            await gated(writer, *works, sizes=(300, 300, 300, 20, 20, 300))
            assert order == ["1", "a", "b", "2", "3", "4"]

    run(scenario())


def test_large_units_that_are_passed_count_as_waiting(sqlite_url: str, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url, queued_bytes=700, group_bytes=100) as (writer, _recorded):
            gate, large = Gate(), Gate()
            first = asyncio.create_task(writer.run(gate))
            await asyncio.to_thread(gate.entered.wait, 60)
            begun = writer.start(large, size=300)
            passed = writer.start(lambda _t: "passed", size=300)
            gate.open()
            await first
            await asyncio.to_thread(large.entered.wait, 60)
            assert writer.queued == 1
            with pytest.raises(Unavailable):
                await writer.run(lambda _t: None, size=500)
            large.open()
            await begun
            assert await passed == "passed"

    run(scenario())


def test_a_wait_has_an_end_and_what_waited_too_long_is_not_done(
    sqlite_url: str, make: Any, run: Any, hurry: Hurry
) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url, patience=60.0) as (writer, recorded):
            gate = Gate()
            first = writer.start(gate)
            await asyncio.to_thread(gate.entered.wait, 60)
            late = writer.start(lambda t: t.record(make.received("late")))
            hurry.pass_over(60.0, writer)
            for waiting in (late, first):
                with pytest.raises(Unavailable):
                    await waiting
            gate.open()
            await writer.run(lambda t: t.record(make.received("next")))
            assert recorded() == ["next"]

    run(scenario())


def test_a_caller_who_left_before_its_turn_has_nothing_recorded(sqlite_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url) as (writer, recorded):
            gate = Gate()
            first = asyncio.create_task(writer.run(gate))
            await asyncio.to_thread(gate.entered.wait, 60)
            gone = asyncio.create_task(writer.run(lambda t: t.record(make.received("gone"))))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            gate.open()
            await first
            await writer.run(lambda t: t.record(make.received("stays")))
            assert recorded() == ["stays"]

    run(scenario())


def test_a_caller_whose_loop_has_ended_does_not_stop_the_writer(sqlite_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with writer_on(sqlite_url) as (writer, recorded):
            gate = Gate()

            async def leaves() -> None:
                task = asyncio.create_task(writer.run(gate))
                await asyncio.to_thread(gate.entered.wait, 60)
                task.cancel()

            await asyncio.to_thread(asyncio.run, leaves())
            gate.open()
            await writer.run(lambda t: t.record(make.received("next")))
            assert recorded() == ["next"]

    run(scenario())


def test_the_writer_outlives_even_what_should_end_a_thread(sqlite_url: str, make: Any, run: Any) -> None:
    def exits(_t: Transaction) -> None:
        raise SystemExit

    async def scenario() -> None:
        async with writer_on(sqlite_url) as (writer, recorded):
            said = await gated(writer, lambda t: t.record(make.received("a")).last, exits)
            assert (said[0], type(said[1])) == (1, Unavailable)
            await writer.run(lambda t: t.record(make.received("b")))
            assert recorded() == ["a", "b"]

    run(scenario())
