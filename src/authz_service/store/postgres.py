"""PostgreSQL as the store needs it: commits that are on disk, bounded waits, one head row for all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, create_engine

from authz_service.errors import Misconfigured
from authz_service.store.database import READERS, Database, HeadRow, HostClock, host_microseconds
from authz_service.store.faults import as_sqlalchemy
from authz_service.store.news import CHANNEL, HoldNews, listen, payloads
from authz_service.store.prepared import together

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_CLOCK = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_HEAD = f"SELECT size, frontier, root, last_at, {_CLOCK}, signature FROM head WHERE id = 1 FOR UPDATE"  # noqa: S608


class Postgres(Database):
    """One database, shared by all replicas; they take turns by the lock on the head row."""

    is_shared = True

    def __init__(self, url: URL, *, clock: HostClock | None, patience: float) -> None:
        """`patience` is how many seconds a statement, a lock or a connection may take."""
        self._host_clock = clock
        self._url = url
        url = url.set(drivername="postgresql+psycopg")
        milliseconds = max(1, round(patience * 1000))
        arguments = {
            "connect_timeout": max(2, round(patience)),
            "tcp_user_timeout": milliseconds,
            "application_name": "authz",
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
            f" -c idle_in_transaction_session_timeout={4 * milliseconds} -c timezone=UTC",
        }
        self.writing = create_engine(
            url,
            connect_args=arguments,
            isolation_level="AUTOCOMMIT",
            paramstyle="format",  # by place, as in SQLite: the ledger's rows are tuples
            pool_size=1,
            max_overflow=1,
            hide_parameters=True,
        )
        self.reading = create_engine(
            url,
            connect_args=arguments,
            isolation_level="REPEATABLE READ",
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    def begin(self, connection: Connection) -> HeadRow:
        driver = _driver(connection)
        with together(connection):
            driver.execute(_BEGIN)
            found = driver.execute(_HEAD)
        row = found.fetchone()
        if row is None:
            raise RuntimeError("the record has no head")
        size, frontier, root, last_at, clock, signature = row
        if self._host_clock is not None:
            clock = host_microseconds(self._host_clock)
        return HeadRow(
            size,
            bytes(frontier),
            bytes(root),
            last_at,
            clock,
            None if signature is None else bytes(signature),
        )

    def commit(self, connection: Connection) -> None:
        # COMMIT of a transaction that failed is answered ROLLBACK, without an error.
        driver = _driver(connection)
        if driver.info.transaction_status is not TransactionStatus.INTRANS:
            raise RuntimeError("the transaction has failed and cannot be committed")
        try:
            driver.execute("COMMIT")
        except psycopg.Error as error:
            raise as_sqlalchemy(error, connection) from error

    def roll_back(self, connection: Connection) -> None:
        # By the driver's own means, which forget what it took for prepared: behind a statement that failed
        # in a pipeline nothing was, and it would fail for as long as the connection is used.
        try:
            _driver(connection).rollback()
        except psycopg.Error as error:
            raise as_sqlalchemy(error, connection) from error

    def clock(self, connection: Connection) -> int:
        if self._host_clock is not None:
            return host_microseconds(self._host_clock)
        clock = connection.exec_driver_sql(f"SELECT {_CLOCK}").scalar_one()
        return int(clock)

    def announce(self, connection: Connection, holds: Collection[str]) -> None:
        for payload in payloads(holds):
            connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    async def listen(self, news: HoldNews) -> None:
        await listen(self._url, news)

    def check_durability(self, connection: Connection) -> None:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            if connection.exec_driver_sql(f"SHOW {setting}").scalar_one() == "off":
                raise Misconfigured(
                    f"PostgreSQL runs with {setting} = off, so a committed record could be lost;"
                    f" set {setting} = on for this database and role, and start again"
                )


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection, on which statements that run for every commit cost the least."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the writer needs a psycopg connection")
    return driver
