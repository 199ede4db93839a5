"""Work in threads takes turns, and whoever leaves while waiting for one has cost nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from authz_service.runtime.threads import AT_A_TIME, LARGE, Threads


class Work:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        self.begun.release()
        assert self.go_on.wait(20)
        return self.count

    async def has_begun(self) -> None:
        """Wait until it has begun once more."""
        assert await asyncio.get_running_loop().run_in_executor(None, self.begun.acquire, True, 20)


def run(scenario: Callable[[Threads, Work], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20):
            await scenario(Threads(), Work())

    asyncio.run(whole())


async def everything_that_may_begins(threads: Threads, work: Work) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(threads.run(work)) for _ in range(AT_A_TIME)]
    for _ in tasks:
        await work.has_begun()
    return tasks


def test_no_more_than_a_few_run_at_a_time_and_the_next_has_its_turn() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        tasks = await everything_that_may_begins(threads, work)
        late = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0)
        assert work.count == AT_A_TIME
        work.go_on.set()
        await asyncio.gather(*tasks)
        assert await late == AT_A_TIME + 1

    run(scenario)


def test_who_leaves_while_waiting_never_begins() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        tasks = await everything_that_may_begins(threads, work)
        late = [asyncio.create_task(threads.run(work)) for _ in range(10)]
        await asyncio.sleep(0)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        work.go_on.set()
        await asyncio.gather(*tasks)
        assert await threads.run(lambda: work.count) == AT_A_TIME

    run(scenario)


def test_work_that_nobody_waits_for_keeps_its_turn_until_it_ends() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        for task in await everything_that_may_begins(threads, work):
            task.cancel()
        late = asyncio.create_task(threads.run(work))
        await asyncio.sleep(0)
        assert work.count == AT_A_TIME
        work.go_on.set()
        assert await late == AT_A_TIME + 1

    run(scenario)


def test_what_work_raises_is_raised_and_its_turn_is_free_again() -> None:
    async def scenario(threads: Threads, _: Work) -> None:
        for _attempt in range(AT_A_TIME + 1):
            with pytest.raises(ZeroDivisionError):
                await threads.run(lambda: 1 // 0)

    run(scenario)


def test_large_bodies_keep_no_others_waiting() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        large = [asyncio.create_task(threads.run(work, size=LARGE + 1)) for _ in range(3)]
        await work.has_begun()
        assert await threads.run(lambda: "read", size=LARGE) == "read"
        assert work.count == AT_A_TIME
        work.go_on.set()
        assert await asyncio.gather(*large) == [1, 2, 3]

    run(scenario)
