"""Keeps what this process knows of withdrawn tokens at what the store says, a moment behind at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from authz_service.core.revocations import Revocation, RevocationStore
from authz_service.errors import AuthzError

POLL_SECONDS = 0.5


class Revoking:
    """Asks `store`, and tells `take` whenever there is news."""

    def __init__(self, store: RevocationStore, take: Callable[[Iterable[Revocation]], None]) -> None:
        self._store = store
        self._take = take
        self._version = ""
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask now; raises `Unavailable`."""
        async with self._asking:
            read = await self._store.revocations(self._version)
            if read is not None:
                self._take(read.items)
                self._version = read.version

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
            except AuthzError:
                continue  # nothing passes while the store is away, and what was withdrawn stays so
