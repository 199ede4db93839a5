"""What workers leave behind when they die says which request is not to be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from authz_service.keys.ids import new_id
from authz_service.runtime.marks import MARKS, PAST, Doing, Judging, Marks
from authz_service.runtime.threads import Threads


@contextmanager
def worker(folder: Path, own: int, workers: int = 3) -> Iterator[Marks]:
    """A life of a worker; its end, however it came, removes no mark."""
    marks = Marks(folder, own, workers)
    yield marks
    marks.close()


@pytest.mark.parametrize(
    ("doing", "is_poison"), [(Doing.HAS, False), (Doing.JUDGES, True), (Doing.WAITS, False)]
)
def test_only_what_a_dead_worker_was_judging_is_poison_at_once(
    tmp_path: Path, doing: Doing, *, is_poison: bool
) -> None:
    exchange = new_id("ses")
    with worker(tmp_path, 0) as dead:
        dead.begin(exchange)
        dead.now(exchange, doing)
    with worker(tmp_path, 1) as other:
        assert other.is_poison(exchange) is is_poison
        assert not other.is_poison(new_id("ses"))
    with worker(tmp_path, 0) as again:  # the same worker, started again
        assert again.is_poison(exchange) is is_poison


def test_what_two_workers_died_with_is_poison_and_what_waited_in_both_is_not(tmp_path: Path) -> None:
    had, waited = new_id("ses"), new_id("ses")
    for own in (0, 1):
        with worker(tmp_path, own) as dead:
            for exchange in (had, waited):
                dead.begin(exchange)
            dead.now(waited, Doing.WAITS)
    with worker(tmp_path, 2) as other:
        assert other.is_poison(had)
        assert not other.is_poison(waited)


def test_one_worker_that_dies_twice_of_the_same_counts_twice(tmp_path: Path) -> None:
    exchange = new_id("ses")
    for _ in range(2):
        with worker(tmp_path, 0) as dead:
            dead.begin(exchange)
    with worker(tmp_path, 0) as third, worker(tmp_path, 1) as other:
        assert third.is_poison(exchange)
        assert other.is_poison(exchange)


@pytest.mark.parametrize("doing", [Doing.WAITS, Doing.HAS])
def test_poison_is_known_beside_thousands_of_others_in_the_worker_that_died_of_it(
    tmp_path: Path, doing: Doing
) -> None:
    poison, had = new_id("ses"), new_id("ses")
    with worker(tmp_path, 0) as dead:
        dead.begin(poison, Doing.JUDGES)
        for _ in range(PAST):
            dead.begin(new_id("ses"), doing)
        dead.begin(had)
    with worker(tmp_path, 1) as other:
        assert other.is_poison(poison)
        with worker(tmp_path, 0) as again:
            assert other.is_poison(poison)
            assert not other.is_poison(had)
            again.begin(had)
            assert other.is_poison(had)  # it counts beside what is kept of it


def test_what_waits_for_a_thread_is_not_being_judged_until_its_turn_comes(tmp_path: Path) -> None:
    names = [new_id("ses") for _ in range(3)]

    async def scenario() -> None:
        with worker(tmp_path, 0) as one, worker(tmp_path, 1) as other:
            threads = Threads()

            def seen() -> list[bool]:
                return [other.is_poison(name) for name in names]

            for name in names:
                one.begin(name)
            work = [threads.run(seen, within=Judging(one, name)) for name in names]
            assert await asyncio.gather(*work) == [
                [True, False, False],
                [False, True, False],
                [False, False, True],
            ]
            assert seen() == [False] * 3

    asyncio.run(scenario())


def test_others_are_busy_with_what_does_not_wait_for_people(tmp_path: Path) -> None:
    waits, had = new_id("ses"), new_id("ses")
    with worker(tmp_path, 0) as one, worker(tmp_path, 1) as other:
        assert not one.others_are_busy()
        other.begin(waits, Doing.WAITS)
        assert not one.others_are_busy()
        for doing in (Doing.HAS, Doing.JUDGES):
            other.begin(had, doing)
            assert one.others_are_busy()
            assert not other.others_are_busy()
            other.end(had)
        assert not one.others_are_busy()


def test_what_has_ended_leaves_nothing_and_its_place_is_used_again(tmp_path: Path) -> None:
    with worker(tmp_path, 0) as one, worker(tmp_path, 1) as other:
        for _ in range(2 * MARKS):
            exchange = new_id("ses")
            one.begin(exchange)
            one.now(exchange, Doing.JUDGES)
            one.end(exchange)
        assert not other.is_poison(exchange)
        one.begin(exchange)
        one.now(exchange, Doing.JUDGES)
        assert other.is_poison(exchange)
        assert not one.is_poison(exchange)  # its own, and it lives


def test_more_exchanges_than_there_are_places_are_no_fault(tmp_path: Path) -> None:
    with worker(tmp_path, 0) as one:
        names = [new_id("ses") for _ in range(MARKS + 2)]
        for name in names:
            one.begin(name)
        for name in names:
            one.now(name, Doing.JUDGES)
            one.end(name)
        one.begin(names[-1])
        with worker(tmp_path, 1) as other:
            one.now(names[-1], Doing.JUDGES)
            assert other.is_poison(names[-1])


def test_work_is_judging_only_while_its_own_code_runs(tmp_path: Path) -> None:
    exchange = new_id("ses")

    async def scenario() -> None:
        with worker(tmp_path, 0) as one, worker(tmp_path, 1) as other:
            answer = asyncio.get_running_loop().create_future()
            seen = []

            async def work() -> str:
                seen.append(other.is_poison(exchange))
                found = await answer
                seen.append(other.is_poison(exchange))
                return str(found)

            async def judged() -> str:
                return await one.judging(exchange, work())

            judging = asyncio.create_task(judged())
            await asyncio.sleep(0)
            assert not other.is_poison(exchange)
            answer.set_result("done")
            assert await judging == "done"
            assert seen == [True, True]
            assert not other.is_poison(exchange)

    asyncio.run(scenario())


def test_work_that_is_cancelled_or_fails_says_so_and_leaves_no_mark(tmp_path: Path) -> None:
    exchange = new_id("ses")

    async def scenario() -> None:
        with worker(tmp_path, 0) as one, worker(tmp_path, 1) as other:
            never = asyncio.get_running_loop().create_future()
            seen = []

            async def work() -> None:
                try:
                    await never
                finally:
                    seen.append(other.is_poison(exchange))

            async def failing() -> None:
                raise ValueError("no")

            async def judged() -> None:
                await one.judging(exchange, work())

            judging = asyncio.create_task(judged())
            await asyncio.sleep(0)
            judging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await judging
            assert seen == [True]
            with pytest.raises(ValueError, match="no"):
                await one.judging(exchange, failing())
            one.begin(exchange)  # in the place that both have left
            assert one._used == 1

    asyncio.run(scenario())
