"""What waits to be handled by one exchange, in order, with a limit on the bytes of answer in it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from authz_service.core.events import (
    AnswerFailed,
    AnswerStarted,
    CallerLeft,
    HoldApproved,
    HoldEnded,
    WaitElapsed,
)

MOST_BYTES = 1024 * 1024
"""Above it the reader pauses, and Envoy stops reading from the model."""


@dataclass(frozen=True, slots=True)
class AnswerChunk:
    """Bytes of the answer's body as they came; nothing follows an `is_last`."""

    data: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class ServiceStops:
    """This process is about to stop; who waits for people is taken up by another, or the next one."""


Mail = (
    AnswerChunk
    | AnswerStarted
    | AnswerFailed
    | CallerLeft
    | HoldApproved
    | HoldEnded
    | WaitElapsed
    | ServiceStops
)


class Mailbox:
    """A queue with one reader; not for use across threads."""

    def __init__(self) -> None:
        self._mail: deque[Mail] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def put(self, mail: Mail) -> None:
        """Add what happened."""
        if isinstance(mail, AnswerChunk):
            self._bytes += len(mail.data)
            if self._bytes >= MOST_BYTES:
                self._emptied.clear()
        self._mail.append(mail)
        self._arrived.set()

    async def has_room(self) -> None:
        """Wait until more of an answer may be put."""
        await self._emptied.wait()

    async def get(self) -> Mail:
        """The next mail; chunks of the answer that came meanwhile are joined into one."""
        while not self._mail:
            self._arrived.clear()
            await self._arrived.wait()
        mail = self._mail.popleft()
        if isinstance(mail, AnswerChunk):
            mail = self._joined(mail)
            self._bytes -= len(mail.data)
            if self._bytes < MOST_BYTES:
                self._emptied.set()
        return mail

    def _joined(self, first: AnswerChunk) -> AnswerChunk:
        chunks = [first]
        while self._mail and not chunks[-1].is_last:
            following = self._mail[0]
            if not isinstance(following, AnswerChunk):
                break
            chunks.append(following)
            self._mail.popleft()
        if len(chunks) == 1:
            return first
        return AnswerChunk(b"".join(c.data for c in chunks), chunks[-1].is_last)
