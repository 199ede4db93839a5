"""A database as the store uses it: two engines, the statements that differ, and its clock."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, select

from authz_service.store.heads import Head
from authz_service.store.news import HoldNews
from authz_service.store.schema import head

HostClock = Callable[[], float]
"""Seconds since the epoch; what tests put in the place of the database's clock."""

READERS = 4

_HEAD = select(head.c.size, head.c.frontier, head.c.root, head.c.last_at, head.c.signature).where(
    head.c.id == 1
)


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The head as a transaction found it, and what the database's clock said then (microseconds)."""

    size: int
    frontier: bytes
    root: bytes
    last_at: int
    clock: int
    signature: bytes | None = None

    @property
    def head(self) -> Head:
        """The part of it that is signed."""
        return Head(self.size, self.root, self.frontier)


class HighWater:
    """The latest time that this process has acted upon, in microseconds: it only ever rises.

    What was once read as overdue stays so when the clock goes back, also before anything is recorded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = 0

    def advance(self, *times: int) -> int:
        """The latest of `times` and of all before."""
        with self._lock:
            self._latest = max(self._latest, *times)
            return self._latest


class Database(ABC):
    """One of the two kinds. The writer's connections are in autocommit mode: BEGIN is ours to say."""

    writing: Engine
    reading: Engine
    is_shared: bool
    """Whether other processes may write to it too."""

    @abstractmethod
    def begin(self, connection: Connection) -> HeadRow:
        """Begin a transaction that no other can interleave with; the head, locked until its end."""

    @abstractmethod
    def commit(self, connection: Connection) -> None:
        """Commit; an error leaves it unknown whether it was."""

    @abstractmethod
    def roll_back(self, connection: Connection) -> None:
        """Undo all since `begin`, if the database has not done so by itself."""

    @abstractmethod
    def clock(self, connection: Connection) -> int:
        """The database's clock, in microseconds."""

    @abstractmethod
    def check_durability(self, connection: Connection) -> None:
        """Raise `Misconfigured` where a commit would not survive a loss of power."""

    def announce(self, connection: Connection, holds: Collection[str]) -> None:  # noqa: B027 - not every database can
        """Tell other processes, outside of any transaction, which holds changed; there may be none."""

    async def listen(self, news: HoldNews) -> None:  # noqa: B027 - as above
        """Pass on what other processes announce, until cancelled; returns where there are none."""

    def close(self) -> None:
        """Close all connections; readers first, so that the writer is the one that checkpoints."""
        self.reading.dispose()
        self.writing.dispose()


def read_head(connection: Connection) -> Row[int, bytes, bytes, int, bytes | None]:
    """Size, frontier, root, last time and signature, unlocked."""
    return connection.execute(_HEAD).one()


def host_microseconds(clock: HostClock | None) -> int:
    """The host's clock, or the one given in its place, in microseconds."""
    return round((clock or time.time)() * 1_000_000)
