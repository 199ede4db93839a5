"""Work in threads takes turns, and whoever leaves while waiting for one has cost nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from authz_service.errors import TooMany
from authz_service.runtime.threads import AT_A_TIME, LARGE, LARGE_FOR_PRESIDIO, Line, Threads


class Work:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        self.begun.release()
        assert self.go_on.wait(60)
        return self.count

    async def has_begun(self) -> None:
        """Wait until it has begun once more."""
        assert await asyncio.get_running_loop().run_in_executor(None, self.begun.acquire, True, 60)


def run(scenario: Callable[[Threads, Work], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60):
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


def test_callers_take_turns_however_much_one_of_them_sends() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        done: list[str] = []

        async def ask(caller: str, work: Callable[[], object]) -> None:
            def noted() -> None:
                work()
                done.append(caller)

            await threads.run(noted, caller=caller)

        asked = [asyncio.create_task(ask("a", work))]
        await work.has_begun()
        asked += [asyncio.create_task(ask(caller, int)) for caller in "aaaabbc"]
        await asyncio.sleep(0)
        work.go_on.set()
        await asyncio.gather(*asked)
        assert "".join(done) == "abcabaaa"

    run(scenario)


def test_only_so_much_of_one_caller_waits_and_others_are_not_refused_for_it() -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        asked = [asyncio.create_task(threads.run(work, caller="a", most=2)) for _ in range(3)]
        await work.has_begun()
        with pytest.raises(TooMany) as refused:
            await threads.run(work, caller="a", most=2)
        assert refused.value.code == "too_many_waiting"
        asked.append(asyncio.create_task(threads.run(work, caller="b", most=2)))
        asked.append(asyncio.create_task(threads.run(work, caller="a")))
        work.go_on.set()
        assert sorted(await asyncio.gather(*asked)) == [1, 2, 3, 4, 5]
        assert await threads.run(work, caller="a", most=2) == 6

    run(scenario)


LINES = [(True, LARGE_FOR_PRESIDIO + 1), (True, LARGE_FOR_PRESIDIO), (False, LARGE + 1), (False, LARGE)]


@pytest.mark.parametrize(("by_presidio", "size"), LINES)
def test_presidio_and_bodies_large_and_small_wait_in_lines_of_their_own(by_presidio: bool, size: int) -> None:
    async def scenario(threads: Threads, work: Work) -> None:
        slow = [
            asyncio.create_task(threads.run(work, size=size, by_presidio=by_presidio, caller=caller))
            for caller in "ab"
        ]
        await work.has_begun()
        for other in LINES:
            if other != (by_presidio, size):
                assert await threads.run(lambda: "read", by_presidio=other[0], size=other[1]) == "read"
        assert work.count == AT_A_TIME
        work.go_on.set()
        assert await asyncio.gather(*slow) == [1, 2]

    run(scenario)


def test_a_turn_that_is_given_to_who_leaves_just_then_goes_on_to_the_next() -> None:
    async def scenario(_threads: Threads, _work: Work) -> None:
        line = Line()
        await line.turn("a", most=None)
        waiting = [asyncio.create_task(line.turn(caller, most=None)) for caller in "bcd"]
        await asyncio.sleep(0)
        waiting[1].cancel()
        line.free()  # to b, who has not come to know of it; c is leaving
        waiting[0].cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in ended] == [asyncio.CancelledError] * 2 + [type(None)]
        line.free()
        await line.turn("e", most=None)

    run(scenario)
