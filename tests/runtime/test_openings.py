"""Who waits to ask the store for a hold comes in turn, and is refused at once where it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from authz_service.errors import Unavailable
from authz_service.runtime.openings import Openings

AT_ONCE = 2


class Asked:
    """A store that is asked by turns: `said` in what order, each answered when `answer` says so."""

    def __init__(self) -> None:
        self.openings = Openings(AT_ONCE)
        self.said: list[str] = []
        self.answers: dict[str, asyncio.Future[None]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.refused: dict[str, str] = {}
        """By name, the code of what was raised."""

    def ask(self, *names: str) -> None:
        for name in names:
            self.answers[name] = asyncio.get_running_loop().create_future()
            self.tasks[name] = asyncio.create_task(self._ask(name))

    async def _ask(self, name: str) -> None:
        try:
            async with self.openings.turn():
                self.said.append(name)
                await self.answers[name]
        except Unavailable as error:
            self.refused[name] = error.code

    async def answer(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self.answers[name].set_result(None)
        else:
            self.answers[name].set_exception(error)
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def play(scene: Callable[[Asked], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60):
            await scene(Asked())

    asyncio.run(scenario())


def away() -> Unavailable:
    return Unavailable("the record store is unavailable", code="store_unavailable")


def test_so_many_ask_at_a_time_and_the_others_as_they_came() -> None:
    async def scene(asked: Asked) -> None:
        asked.ask("a", "b", "c", "d")
        await settled()
        assert asked.said == ["a", "b"]
        await asked.answer("b")
        assert asked.said == ["a", "b", "c"]
        await asked.answer("a")
        assert asked.said == ["a", "b", "c", "d"]

    play(scene)


def test_all_that_wait_behind_one_that_finds_the_store_away_are_refused_at_once() -> None:
    async def scene(asked: Asked) -> None:
        asked.ask("a", "b", *(f"waits {number}" for number in range(50)))
        await settled()
        await asked.answer("a", away())
        assert asked.said == ["a", "b"]
        assert asked.refused == dict.fromkeys(asked.tasks.keys() - {"b"}, "store_unavailable")
        assert not asked.tasks["b"].done(), "it was asked before, and may be answered"

    play(scene)


def test_a_store_that_is_back_is_asked_at_once() -> None:
    async def scene(asked: Asked) -> None:
        asked.ask("a", "b", "c")
        await settled()
        await asked.answer("a", away())
        await asked.answer("b", away())
        asked.ask("d", "e", "f")
        await settled()
        assert asked.said == ["a", "b", "d", "e"]
        for name in ("d", "e", "f"):
            await asked.answer(name)
        assert not asked.refused.keys() & {"d", "e", "f"}

    play(scene)


@pytest.mark.parametrize("error", [Unavailable("damaged", code="record_damaged"), None])
def test_any_other_answer_is_nobody_else_s(error: Unavailable | None) -> None:
    async def scene(asked: Asked) -> None:
        asked.ask("a", "b", "c")
        await settled()
        await asked.answer("a", error)
        assert asked.said == ["a", "b", "c"]
        assert asked.refused == ({} if error is None else {"a": "record_damaged"})

    play(scene)


def test_who_leaves_takes_no_turn_along() -> None:
    async def scene(asked: Asked) -> None:
        asked.ask("a", "b", "gone", "c")
        await settled()
        asked.tasks["gone"].cancel()
        await settled()
        await asked.answer("a")
        assert asked.said == ["a", "b", "c"]
        asked.ask("called", "d")
        await settled()
        asked.answers["b"].set_result(None)
        await asyncio.sleep(0)  # the turn of `called` is there, and it has not taken it
        asked.tasks["called"].cancel()
        await settled()
        assert asked.said == ["a", "b", "c", "d"]

    play(scene)
