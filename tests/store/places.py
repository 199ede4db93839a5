"""A database of a test, with keys and a clock that the test turns."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from authz_service.keys.master_key import master_key_from_file
from authz_service.store.keyring import Keyring
from authz_service.store.open import open_store
from authz_service.store.open_keys import open_keyring
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import WriterLimits

START = 1_800_000_000.0
PATIENCE = 60.0
"""Seconds that anything may wait: a busy machine stands still for ten."""


@dataclass
class TurnableClock:
    """Seconds since the epoch, as tests want them."""

    time: float = START

    def __call__(self) -> float:
        return self.time


def pseudonym_of(identity: tuple[str, str]) -> str:
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


@dataclass
class Place:
    """A database of a test's own, opened as often as the test likes, closed at its end."""

    url: str
    clock: TurnableClock = field(default_factory=TurnableClock)
    opened: list[SqlStore] = field(default_factory=list)
    keys: Path | None = None

    async def open(
        self, *, instance: str = "one", patience: float = PATIENCE, migrate: bool = True, **more: Any
    ) -> SqlStore:
        if self.keys is not None and "keyring" not in more:
            more["keyring"] = self.keyring()
        store = await open_store(
            self.url,
            instance=instance,
            pseudonym=pseudonym_of,
            clock=self.clock,
            migrate=migrate,
            limits=WriterLimits(patience=patience),
            **more,
        )
        self.opened.append(store)
        return store

    def keyring(self) -> Keyring:
        """The keys of this record, under a master key of the test's own."""
        assert self.keys is not None
        find = partial(master_key_from_file, self.keys / "master.key")
        return open_keyring(self.keys_url, lambda may_create: find(may_create=may_create), clock=self.clock)

    @staticmethod
    def pseudonym(identity: tuple[str, str]) -> str:
        return pseudonym_of(identity)

    @property
    def keys_url(self) -> str:
        return f"sqlite:///{self.keys}/keys.db"

    @asynccontextmanager
    async def store(self, **more: Any) -> AsyncIterator[SqlStore]:
        store = await self.open(**more)
        try:
            yield store
        finally:
            await store.close()
