"""From a URL to a database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from authz_service.errors import Misconfigured
from authz_service.store.database import Database, HostClock
from authz_service.store.postgres import Postgres
from authz_service.store.sqlite import open_sqlite


def open_database(url: str, *, clock: HostClock | None = None, patience: float = 5.0) -> Database:
    """The database of a URL, not yet connected to; a SQLite file is locked for this process."""
    parsed = _parsed(url)
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:" or parsed.query:
                raise Misconfigured("a SQLite store is a file: write sqlite:///PATH, without options")
            return open_sqlite(Path(parsed.database), clock=clock, patience=patience)
        case "postgresql":
            return Postgres(parsed, clock=clock, patience=patience)
        case other:
            raise Misconfigured(f"a store is sqlite:///FILE or postgresql://..., not {other}")


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        # The URL itself may carry a password.
        raise Misconfigured(
            "the store's url cannot be read; write sqlite:///FILE or postgresql://..."
        ) from error
