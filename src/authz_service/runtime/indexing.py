"""Keeps the search index at what is on record: a moment behind, and up to date for who asks it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from authz_service.runtime.mishaps import Mishaps

POLL_SECONDS = 0.5
PATIENCE = 2.0
"""Seconds that a search waits for the index to be up to date."""
REST = 9.0
"""Times as long as a step took, the next one waits: traffic comes first."""


class IndexStore(Protocol):
    """What a store has to do with its index."""

    async def index_step(self, *, has_texts: bool) -> bool:
        """Take the next entries into the index; True while there may be more. Raises `Unavailable`."""
        ...


@dataclass(slots=True)
class Indexing:
    """`has_texts` says whether what was asked and answered can be searched."""

    store: IndexStore
    has_texts: bool
    patience: float = PATIENCE
    _stepping: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> bool:
        """Take in what is on record now; False when there was too much for a wait."""
        until = time.monotonic() + self.patience
        while await self._step():
            if time.monotonic() >= until:
                return False
        return True

    async def run(self) -> None:
        """Follow the record until cancelled."""
        mishaps = Mishaps("index.waits")
        while True:
            began = time.monotonic()
            try:
                has_more = await self._step()
                mishaps.over()
            except Exception as error:  # whatever it was, traffic must not end with it; the index can wait
                has_more = False
                mishaps.say(error)
            took = time.monotonic() - began
            await asyncio.sleep(took * REST if has_more else POLL_SECONDS)

    async def _step(self) -> bool:
        async with self._stepping:
            return await self.store.index_step(has_texts=self.has_texts)
