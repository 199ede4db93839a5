"""What limits cost at a request: what was used is asked of the sessions on record, and these are many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.micro.figure import Figure, Room
from bench.postgres import database
from bench.stores import store
from sqlalchemy import create_engine, insert

from authz_service.core.limits import DAY, CountedBy, Quota, Rates
from authz_service.store.schema import sessions
from authz_service.store.sql_store import SqlStore
from authz_service.store.used import Remembered, Use

SESSIONS: Final = 100_000
"""In 24 hours, all of one caller and one model."""
FEWER: Final = 2_000
"""Where there is no time to measure."""
ONCE: Final = 5
"""Looks of which the least is told where each takes long."""

_AT_ONCE: Final = 5_000
_START: Final = 1_800_000_000.0
_RATES: Final = {
    "a limit of a minute": Rates(requests_per_minute=10**9, tokens_per_minute=10**9),
    "a limit of exchanges at once": Rates(concurrent=10**9),
    "a limit of a day": Rates(tokens_per_day=10**9, recorded_bytes_per_day=10**12),
}


def limiting(room: Room) -> Iterator[Figure]:
    """On SQLite, then on PostgreSQL."""
    count = SESSIONS if room.seconds >= 0.1 else FEWER
    folder = room.folder / "limiting"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield from asyncio.run(
        _looks(f"sqlite:///{folder / 'authz.db'}", "", folder, count, room.seconds, "SQLite")
    )
    with database() as postgres:
        yield from asyncio.run(_looks(postgres.url, postgres.keys, folder, count, room.seconds, "PostgreSQL"))


async def _looks(url: str, keys: str, folder: Path, count: int, seconds: float, name: str) -> list[Figure]:
    figures = []
    async with _filled(url, keys, folder, count) as opened:
        for what, rates in _RATES.items():
            quota = Quota(CountedBy.CALLER, "busy", rates)
            remembered = Remembered()
            first = await _least(opened, quota, None, 0.0)
            after = await _least(opened, quota, remembered, seconds)
            about = f"{name}, {what} among {count:,} sessions"
            figures.append(Figure(f"{about}, read anew", 1e3 * first, "ms"))
            figures.append(Figure(about, 1e3 * after, "ms"))
    return figures


async def _least(opened: SqlStore, quota: Quota, remembered: Remembered | None, seconds: float) -> float:
    """Of several looks the shortest: others use the machine too."""
    least, done, until = float("inf"), 0, time.monotonic() + seconds
    while done < ONCE or time.monotonic() < until:
        began = time.perf_counter()
        await opened.change(lambda transaction: Use(transaction, remembered).of(quota))
        least, done = min(least, time.perf_counter() - began), done + 1
    return least


@asynccontextmanager
async def _filled(url: str, keys: str, folder: Path, count: int) -> AsyncIterator[SqlStore]:
    """A store with so many sessions of the last day, put in by hand: it is asked, and not verified."""
    async with store(url, folder, keys_url=keys, clock=lambda: _START + DAY) as opened:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            for first in range(0, count, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, count))
                connection.execute(insert(sessions), [_row(number, count) for number in numbers])
        engine.dispose()
        yield opened


def _row(number: int, count: int) -> dict[str, object]:
    begun = int((_START + 1 + number * DAY / count) * 1_000_000)
    texts = ("person", "api", "method", "path", "decision", "rule")
    return {
        "id": f"ses_{number:020}",
        "seq": number * 6 + 1,
        "instance": "bench",
        "caller": "busy",
        "caller_detail": '{"groups": ["staff"], "issuer": "https://issuer.example", "subject": "busy"}',
        "subject": "busy",
        "model": "llama",
        "status": "completed",
        "started_at": begun,
        "ended_at": begun + 1_000_000,
        "tokens": 500,
        "bytes": 4000,
        **dict.fromkeys(texts, "about as long as most"),
    }
