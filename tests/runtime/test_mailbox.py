"""What waits for one exchange keeps its order, joins what came meanwhile, and has a limit."""

from __future__ import annotations

import asyncio

from authz_service.core.events import AnswerStarted, CallerLeft
from authz_service.runtime.mailbox import MOST_BYTES, AnswerChunk, Mailbox


def test_chunks_that_came_meanwhile_are_joined_up_to_the_next_event() -> None:
    async def scenario() -> None:
        mailbox = Mailbox()
        started = AnswerStarted(200, {}, is_last=False)
        for mail in (started, AnswerChunk(b"a", False), AnswerChunk(b"b", False), CallerLeft()):
            mailbox.put(mail)
        assert await mailbox.get() == started
        assert await mailbox.get() == AnswerChunk(b"ab", is_last=False)
        assert await mailbox.get() == CallerLeft()

    asyncio.run(scenario())


def test_nothing_is_joined_behind_the_end() -> None:
    async def scenario() -> None:
        mailbox = Mailbox()
        for mail in (AnswerChunk(b"a", False), AnswerChunk(b"b", True), AnswerChunk(b"c", False)):
            mailbox.put(mail)
        assert await mailbox.get() == AnswerChunk(b"ab", is_last=True)
        assert await mailbox.get() == AnswerChunk(b"c", is_last=False)

    asyncio.run(scenario())


def test_the_reader_pauses_while_too_much_waits() -> None:
    async def scenario() -> None:
        mailbox = Mailbox()
        mailbox.put(AnswerChunk(b"x" * MOST_BYTES, False))
        waiting = asyncio.create_task(mailbox.has_room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await mailbox.get()
        await waiting

    asyncio.run(scenario())


def test_get_waits_for_what_comes() -> None:
    async def scenario() -> None:
        mailbox = Mailbox()
        getting = asyncio.create_task(mailbox.get())
        await asyncio.sleep(0)
        assert not getting.done()
        mailbox.put(CallerLeft())
        assert await getting == CallerLeft()

    asyncio.run(scenario())
