"""Keeps the API keys that this process knows at what the store says, a moment behind at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from authz_service.core.api_keys import ApiKey, ApiKeyStore
from authz_service.errors import AuthzError

POLL_SECONDS = 0.5


class FollowingKeys:
    """Asks `store` what changed since the last time, and tells `take`."""

    def __init__(self, store: ApiKeyStore, take: Callable[[Iterable[ApiKey]], None]) -> None:
        self._store = store
        self._take = take
        self._version = 0
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask now; raises `Unavailable`."""
        async with self._asking:
            read = await self._store.changed_keys(self._version)
            if read is not None:
                self._take(read.items)
                self._version = read.version

    async def run(self) -> None:
        """Ask until cancelled. While the store is away nothing passes, and what was revoked stays so."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with suppress(AuthzError):
                await self.refresh()
