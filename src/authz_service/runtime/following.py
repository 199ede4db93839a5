"""Keeps what this process knows at what the store says, a moment behind: API keys and withdrawn tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

from authz_service.runtime.mishaps import Mishaps

POLL_SECONDS = 0.5

Version = TypeVar("Version")
Item = TypeVar("Item")
Version_co = TypeVar("Version_co", covariant=True)
Item_co = TypeVar("Item_co", covariant=True)


class Read(Protocol[Version_co, Item_co]):
    """What the store said, and the version that it makes."""

    @property
    def version(self) -> Version_co:
        """What to ask on from."""
        ...

    @property
    def items(self) -> Iterable[Item_co]:
        """What is to be taken."""
        ...


class Following(Generic[Version, Item]):
    """Asks what there is since a version, at first `version`, and tells `take` whenever there is news."""

    def __init__(
        self,
        ask: Callable[[Version], Awaitable[Read[Version, Item] | None]],
        take: Callable[[Iterable[Item]], None],
        *,
        version: Version,
    ) -> None:
        self._ask = ask
        self._take = take
        self._version = version
        self._asking = asyncio.Lock()

    async def refresh(self) -> None:
        """Ask now; raises `Unavailable`."""
        async with self._asking:
            read = await self._ask(self._version)
            if read is not None:
                self._take(read.items)
                self._version = read.version

    async def run(self) -> None:
        """Ask until cancelled. While the store is away nothing passes, and what was withdrawn stays so."""
        mishaps = Mishaps("following.failed")
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.refresh()
                mishaps.over()
            except Exception as error:  # whatever one row has, the service must not end with it
                mishaps.say(error)
