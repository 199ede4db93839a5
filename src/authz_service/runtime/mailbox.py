"""What waits to be handled by one exchange, in order, with a limit on the bytes of answer in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from authz_service.core.events import (
    AnswerFailed,
    AnswerStarted,
    CallerLeft,
    HoldApproved,
    HoldEnded,
    Killed,
    ServiceStopped,
    WaitElapsed,
)
from authz_service.values import value

MOST_BYTES = 1024 * 1024
"""Above it reading ahead pauses, and Envoy stops reading from the model."""


@value
class AnswerChunk:
    """Bytes of the answer's body as they came; nothing follows an `is_last`."""

    data: bytes
    is_last: bool


@value
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
    | Killed
    | ServiceStopped
    | ServiceStops
)


class Mailbox:
    """A queue with one reader; not for use across threads. `read` waits for what the stream says next.

    While nothing else can happen, `get` itself reads the stream, which costs no task and no switch to
    one. From `read_ahead` on a task does, whatever the exchange is doing: a hold must not keep Envoy's
    own replies, or the caller's leaving, from being seen.
    """

    def __init__(self, read: Callable[[], Awaitable[Mail]]) -> None:
        self._read = read
        self._mail: deque[Mail] = deque()
        self._bytes = 0
        self._reading: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def reads_ahead(self) -> bool:
        """Whether what is put is seen by a `get` that waits."""
        return self._reading is not None

    def put(self, mail: Mail) -> None:
        """Add what happened; only after `read_ahead`, or a `get` that reads the stream would not see it."""
        self._mail.append(mail)
        if isinstance(mail, AnswerChunk):
            self._bytes += len(mail.data)
        _tell(self._arrival)

    def read_ahead(self) -> None:
        """Read the stream in the background until it ends or the mailbox is closed."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_on())

    async def close(self) -> None:
        """Stop reading; raises what reading in the background raised."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def get(self) -> Mail:
        """The next mail; chunks of the answer that came meanwhile are joined into one."""
        while not self._mail:
            if self._reading is None:
                return await self._read()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        mail = self._mail.popleft()
        if isinstance(mail, AnswerChunk):
            mail = self._joined(mail)
            self._bytes -= len(mail.data)
            if self._bytes < MOST_BYTES:
                _tell(self._room)
        return mail

    async def _read_on(self) -> None:
        try:
            while True:
                mail = await self._read()
                self.put(mail)
                if isinstance(mail, CallerLeft):
                    return
                while self._bytes >= MOST_BYTES:
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
        except Exception:
            self.put(CallerLeft())  # or the exchange would wait for ever for what nobody reads
            raise

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


def _tell(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
