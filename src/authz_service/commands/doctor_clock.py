"""Compares this machine's clock with what the database knows of the time, for `authz doctor`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from urllib.parse import quote

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.model import Config
from authz_service.keys.data_dir import DataDir

APART = 5.0  # seconds; tokens are judged by this clock, deadlines by the database's
_SQLITE = "sqlite:///"
_MICROSECONDS = 1_000_000


def check_clock(config: Config, data: DataDir) -> Iterator[Finding]:
    """The database's clock and ours must agree; SQLite has ours, which must not have gone back."""
    url = config.store_url
    if url.startswith(_SQLITE):
        yield _sqlite(str(data.root / url.removeprefix(_SQLITE)))
    else:
        yield _postgres(url)


def _sqlite(path: str) -> Finding:
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=2)
        try:
            row = connection.execute("SELECT last_at FROM head").fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return Finding("clock", Status.OK, "there is no record yet to compare the clock with")
    ahead = (row[0] / _MICROSECONDS if row else 0.0) - time.time()
    if ahead <= APART:
        return Finding("clock", Status.OK, "the clock is behind nothing that is on record")
    message = f"the clock is {ahead:.0f} s behind the last entry of the record"
    return Finding("clock", Status.WARN, message, "set this machine's clock (NTP)")


def _postgres(url: str) -> Finding:
    import psycopg

    plain = "postgresql://" + url.partition("://")[2]
    try:
        with psycopg.connect(plain, connect_timeout=3) as connection:
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    except psycopg.Error as error:
        reason = type(error).__name__  # its text may repeat the password
        message = f"the database of store.url cannot be reached ({reason})"
        return Finding("clock", Status.FAIL, message, "start it, or correct store.url")
    apart = abs((row[0] if row else 0.0) - time.time())
    if apart <= APART:
        return Finding("clock", Status.OK, "this clock and the database's agree")
    message = f"this clock and the database's are {apart:.0f} s apart"
    return Finding("clock", Status.WARN, message, "set both clocks (NTP)")
