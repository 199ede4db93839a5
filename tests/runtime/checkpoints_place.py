"""A record, its checkpoints and a receiver in memory, for the tests of checkpoints."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authz_service.audit.checkpoint import Checkpoint
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.keys.log_key import LogKey
from authz_service.runtime.checkpoint_delivery import Deliveries, Delivery, NotDelivered
from authz_service.runtime.checkpoints import Checkpoints
from authz_service.store.checkpoint_file import read_all
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore

KEY = LogKey.create("example.com/log")


DELIVERY = Delivery("example.com/log\n7\n", Checkpoint("example.com/log", 7, bytes(32)), None, ())


ENTRY = EntryDraft(Kind.SERVICE_STARTED)


@dataclass
class Memory:
    """A receiver that keeps what it is given, or refuses `refusals` times first."""

    name: str = "memory"
    refusals: int = 0
    got: list[Delivery] = field(default_factory=list)

    async def deliver(self, delivery: Delivery) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotDelivered("is not in the mood")
        self.got.append(delivery)


@dataclass
class Place:
    """A store and its file of checkpoints."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "checkpoints" / "checkpoints.jsonl"

    @property
    def database(self) -> Path:
        return self.folder / "a.db"

    async def open(self) -> SqlStore:
        return await open_store(f"sqlite:///{self.database}", instance="i", pseudonym=str, signer=KEY)

    def checkpoints(self, store: SqlStore, *receivers: Any) -> Checkpoints:
        deliveries = Deliveries(receivers, self.folder / "receivers.json", first_pause=0.01)
        return Checkpoints(store, key=KEY.vkey, path=self.path, deliveries=deliveries, every=3600)

    def sizes(self) -> list[int]:
        return [kept.checkpoint.size for _, kept in read_all(self.path) if kept is not None]

    def change(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.database) as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture
def log_place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def within(work: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Polls; the caller bounds the wait."""
    while not condition():
        await asyncio.sleep(0.005)


async def filled(place: Place, counts: tuple[int, ...] = (5, 6)) -> None:
    store = await place.open()
    checkpoints = place.checkpoints(store)
    for count in counts:
        await store.append(*[ENTRY] * count)
        await checkpoints.take()
    await store.append(ENTRY)
    await store.close()
