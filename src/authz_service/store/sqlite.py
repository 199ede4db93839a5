"""SQLite as the store needs it: WAL, synchronous FULL, one process for each file, closed to others."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event

from authz_service.errors import Misconfigured
from authz_service.store.database import READERS, Database, HeadRow, HostClock, host_microseconds

OLDEST = (3, 33, 0)  # of 2020, the first with UPDATE FROM
FULL = 2  # PRAGMA synchronous: below it a loss of power takes commits back

_HEAD = "SELECT size, frontier, root, last_at, signature FROM head WHERE id = 1"


class Sqlite(Database):
    """One file. Made by `open_sqlite`, which holds the file's lock for it."""

    is_shared = False

    def __init__(self, path: Path, *, lock: int, clock: HostClock | None, patience: float) -> None:
        self._lock = lock
        self._clock = clock
        url = URL.create("sqlite", database=str(path))
        arguments = {"timeout": patience, "isolation_level": None, "check_same_thread": False}
        # One stays open: whoever closes the last one makes SQLite write its whole log back.
        self.writing = create_engine(
            url, connect_args=arguments, pool_size=1, max_overflow=1, hide_parameters=True
        )
        self.reading = create_engine(
            url, connect_args=arguments, pool_size=READERS, max_overflow=0, hide_parameters=True
        )
        event.listen(self.writing, "connect", _prepare_writer)
        event.listen(self.reading, "connect", _prepare_reader)
        event.listen(self.reading, "begin", _begin_snapshot)

    def begin(self, connection: Connection) -> HeadRow:
        driver = _driver(connection)
        # Deferred, the first write could fail with SQLITE_BUSY_SNAPSHOT whatever the busy timeout.
        driver.execute("BEGIN IMMEDIATE")
        size, frontier, root, last_at, signature = driver.execute(_HEAD).fetchone()
        return HeadRow(size, frontier, root, last_at, host_microseconds(self._clock), signature)

    def commit(self, connection: Connection) -> None:
        _driver(connection).execute("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        # A full disk or an I/O error rolls back by itself (SQLITE_FULL, SQLITE_IOERR).
        if _driver(connection).in_transaction:
            connection.exec_driver_sql("ROLLBACK")

    def clock(self, connection: Connection) -> int:
        return host_microseconds(self._clock)

    def check_durability(self, connection: Connection) -> None:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        if mode != "wal" or level < FULL:
            raise Misconfigured(
                f"the database is not durable: journal_mode is {mode} (expected wal), synchronous is {level}"
                f" (expected {FULL} or more); put it on a local file system"
            )

    def close(self) -> None:
        super().close()
        os.close(self._lock)


def open_sqlite(path: Path, *, clock: HostClock | None, patience: float) -> Sqlite:
    """Create the file (0600) if need be, and lock it for this process.

    `patience` is how many seconds a statement waits for a lock. Raises `Misconfigured` when another
    process has the file open, when it cannot be opened, or when Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise Misconfigured(
            f"Python's SQLite is {sqlite3.sqlite_version}, and {wanted} is the oldest that can be used;"
            " install a Python with a newer one, or use a PostgreSQL store"
        )
    try:
        lock = _locked(path)
    except OSError as error:
        raise Misconfigured(f"cannot open the database {path}: {error.strerror}") from error
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)  # the files beside it (-wal, -shm) take its mode
        return Sqlite(path, lock=lock, clock=clock, patience=patience)
    except OSError as error:
        os.close(lock)
        raise Misconfigured(f"cannot open the database {path}: {error.strerror}") from error


def _locked(path: Path) -> int:
    # Not the database itself: closing any descriptor of it would drop SQLite's own locks (POSIX fcntl).
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Misconfigured(
            f"{path} is in use by another process; stop it first, or share a PostgreSQL store instead",
            code="store_in_use",
        ) from None
    return lock


def _prepare_writer(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "cache_size = -16384",
        "mmap_size = 0",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_reader(connection: sqlite3.Connection, _record: object) -> None:
    # SQLite 3.7.0 to 3.51.2 can corrupt a WAL that two connections reset: only the writer checkpoints.
    for pragma in ("query_only = ON", "wal_autocheckpoint = 0", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, on which statements that run for every commit cost the least."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _begin_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
