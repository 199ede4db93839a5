"""Learns of changed holds by asking the store: one question for all who watch says whether there is any."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldChange
from authz_service.errors import Unavailable

_log = structlog.get_logger(__name__)


class HoldFeed:
    """Knows how far the changes of holds have come. `every` is the seconds between two questions."""

    def __init__(self, store: Store, *, every: float) -> None:
        self._store = store
        self._every = every
        self._cursor: int | None = None
        self._asking = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._nudged = asyncio.Event()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """The server stops."""
        return self._is_closed

    def nudge(self) -> None:
        """Ask now rather than at the next turn: this process has just changed a hold."""
        self._nudged.set()

    async def cursor(self) -> int:
        """Where the changes end now; raises `Unavailable`."""
        async with self._asking:
            before = self._cursor
            cursor = await self._store.last_sequence() if before is None else before
            while changes := await self._store.hold_changes(cursor):
                cursor = changes[-1].cursor
            self._cursor = cursor
        if cursor != before:
            async with self._moved:
                self._moved.notify_all()
        return cursor

    async def changes(self, after: int) -> list[HoldChange]:
        """The next changes after a cursor, waiting until there are any; raises `Unavailable`."""
        seen = after
        while True:
            seen = await self._beyond(seen)
            if changes := await self._store.hold_changes(after):  # not each entry is of a hold
                return list(changes)

    async def _beyond(self, cursor: int) -> int:
        """Where the changes end, once that is after `cursor`."""
        async with self._moved:
            await self._moved.wait_for(lambda: (self._cursor or 0) > cursor or self._is_closed)
        if self._is_closed:
            raise Unavailable("the service is stopping; watch on when it is back", code="stopping")
        return self._cursor or 0

    async def close(self) -> None:
        """Send everybody who watches away: a server that stops does not wait for them."""
        async with self._moved:
            self._is_closed = True
            self._moved.notify_all()

    async def run(self) -> None:
        """Ask until cancelled. While the store is away nothing is told; afterwards all of it."""
        while True:
            try:
                await self.cursor()
            except Exception as error:  # whatever it was, those who watch must not be left behind for good
                _log.warning("cannot ask for changed holds", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._nudged.wait()
            self._nudged.clear()
