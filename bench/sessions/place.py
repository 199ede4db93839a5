"""Where the filled stores lie: a folder for each database, used again by the next run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.postgres import server

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


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
