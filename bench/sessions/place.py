"""Where the filled stores lie: a folder for each database, used again by the next run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.postgres import server

from authz_service.keys.log_key import LogKey
from authz_service.keys.master_key import master_key_from_file
from authz_service.store.open import open_store
from authz_service.store.open_keys import open_keyring
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import WriterLimits

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
PATIENCE = 300.0  # a query that takes long is to be measured, not given up


@dataclass(slots=True)
class Calendar:
    """The clock of a store that is filled in an hour with what would have come in months: it never stops,
    and is set on by so many seconds with each session."""

    seconds_each: float = 8.0
    days: float = 0.0

    def __call__(self) -> float:
        """Seconds since the epoch."""
        return time.time() - 400 * 86400 + self.days * 86400

    def at(self, number: int) -> None:
        """As many sessions were recorded."""
        self.days = number * self.seconds_each / 86400


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of a database that is there within the context, and lies in `folder` afterwards."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name == SQLITE:
        yield f"sqlite:///{folder / 'authz.db'}"
        return
    with server(folder / "postgres") as running:
        yield running.url


@asynccontextmanager
async def store(url: str, folder: Path, clock: Callable[[], float]) -> AsyncIterator[SqlStore]:
    """A store as the service has it: heads signed, payloads sealed under a key for each subject."""
    find_master = partial(master_key_from_file, folder / "master.key")
    keyring = open_keyring(
        f"sqlite:///{folder / 'keys.db'}", lambda may_create: find_master(may_create=may_create)
    )
    opened = await open_store(
        url,
        instance="bench",
        pseudonym=str,
        clock=clock,
        migrate=True,
        limits=WriterLimits(patience=PATIENCE),
        signer=LogKey.load_or_create(folder / "log.key", "bench.example/sessions"),
        keyring=keyring,
    )
    try:
        yield opened
    finally:
        await opened.close()
