"""A SQLite file for who only reads, beside the process that writes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool


def read_only_engine(path: Path) -> Engine:
    """Nothing is created or changed through it, and it never checkpoints the write-ahead log.

    The path goes to SQLite itself: an engine's URL would take some of its characters for others.
    """

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
