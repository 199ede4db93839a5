"""What waits for one exchange keeps its order, joins what came meanwhile, and has a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from authz_service.core.events import AnswerStarted, CallerLeft, WaitElapsed
from authz_service.runtime.mailbox import MOST_BYTES, AnswerChunk, Mail, Mailbox

STARTED = AnswerStarted(200, {}, is_last=False)


class Stream:
    """What Envoy says, one thing after another; then it says nothing more. Counts who reads at a time."""

    def __init__(self, *said: Mail | Exception) -> None:
        self._said = list(said)
        self.readers = 0

    async def read(self) -> Mail:
        self.readers += 1
        try:
            await asyncio.sleep(0)
            if not self._said:
                await asyncio.Event().wait()
            said = self._said.pop(0)
            if isinstance(said, Exception):
                raise said
            return said
        finally:
            self.readers -= 1

    @property
    def rest(self) -> int:
        return len(self._said)


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(limited())


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_without_reading_ahead_one_thing_is_read_for_each_get_and_nothing_beyond() -> None:
    async def scenario() -> None:
        stream = Stream(STARTED, AnswerChunk(b"a", False), AnswerChunk(b"b", False))
        mailbox = Mailbox(stream.read)
        assert await mailbox.get() == STARTED
        await turns()
        assert stream.rest == 2
        assert await mailbox.get() == AnswerChunk(b"a", is_last=False)
        await mailbox.close()

    run(scenario)


def test_chunks_that_came_meanwhile_are_joined_up_to_the_next_event() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(Stream(STARTED, *map(chunk, "ab"), CallerLeft()).read)
        mailbox.read_ahead()
        await turns()
        assert await mailbox.get() == STARTED
        assert await mailbox.get() == AnswerChunk(b"ab", is_last=False)
        assert await mailbox.get() == CallerLeft()
        await mailbox.close()

    run(scenario)


def test_nothing_is_joined_behind_the_end() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(Stream(chunk("a"), AnswerChunk(b"b", True), chunk("c")).read)
        mailbox.read_ahead()
        await turns()
        assert await mailbox.get() == AnswerChunk(b"ab", is_last=True)
        assert await mailbox.get() == AnswerChunk(b"c", is_last=False)
        await mailbox.close()

    run(scenario)


def test_reading_ahead_pauses_while_too_much_waits() -> None:
    async def scenario() -> None:
        stream = Stream(AnswerChunk(b"x" * MOST_BYTES, False), *map(chunk, "abc"))
        mailbox = Mailbox(stream.read)
        mailbox.read_ahead()
        await turns()
        assert stream.rest == 3
        await mailbox.get()
        await turns()
        assert stream.rest == 0
        assert await mailbox.get() == AnswerChunk(b"abc", is_last=False)
        await mailbox.close()

    run(scenario)


def test_get_waits_for_what_comes_from_elsewhere() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(Stream().read)
        mailbox.read_ahead()
        getting = asyncio.create_task(mailbox.get())
        await turns()
        assert not getting.done()
        mailbox.put(WaitElapsed())
        assert await getting == WaitElapsed()
        await mailbox.close()

    run(scenario)


def test_the_stream_is_read_by_one_at_a_time_and_not_beyond_its_end() -> None:
    async def scenario() -> None:
        stream = Stream(STARTED, CallerLeft(), chunk("never"))
        mailbox = Mailbox(stream.read)
        for _ in range(3):
            mailbox.read_ahead()
        await asyncio.sleep(0)
        assert stream.readers == 1
        assert [await mailbox.get(), await mailbox.get()] == [STARTED, CallerLeft()]
        await turns()
        assert (stream.readers, stream.rest) == (0, 1)
        await mailbox.close()

    run(scenario)


def test_a_mailbox_that_is_closed_reads_no_more() -> None:
    async def scenario() -> None:
        stream = Stream()
        mailbox = Mailbox(stream.read)
        mailbox.read_ahead()
        await turns()
        assert stream.readers == 1
        await mailbox.close()
        assert stream.readers == 0

    run(scenario)


@pytest.mark.parametrize("ahead", [True, False])
def test_a_failure_to_read_ends_the_waiting_and_is_raised(*, ahead: bool) -> None:
    async def scenario() -> None:
        mailbox = Mailbox(Stream(ValueError("broken")).read)
        if not ahead:
            with pytest.raises(ValueError, match="broken"):
                await mailbox.get()
            return
        mailbox.read_ahead()
        assert await mailbox.get() == CallerLeft()
        with pytest.raises(ValueError, match="broken"):
            await mailbox.close()

    run(scenario)


def chunk(text: str) -> AnswerChunk:
    return AnswerChunk(text.encode(), is_last=False)
