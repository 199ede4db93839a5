"""What is recorded, on each database: segments that wait for their commits, bytes stored, and verification.

CPU time is this process's, without that of PostgreSQL's server; time on the clock is of both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from bench.micro.figure import Figure, Room, commit_alone
from bench.postgres import database
from bench.sessions.filling import fill
from bench.stores import keyring, log_key, store
from sqlalchemy import distinct, func, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.record_reader import reading
from authz_service.store.schema import payloads
from authz_service.store.sql_store import SqlStore
from authz_service.store.verify_store import verify_store

STREAMS = (1, 16, 64)
SEGMENT = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
EXCHANGES_A_SECOND = 1000
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Place:
    """A store that nothing is in; its keys are at `keys`, or in `folder`. `size` says its bytes on disk."""

    url: str
    folder: Path
    size: Callable[[], int]
    keys: str = ""


@dataclass(slots=True)
class _Streamed:
    """What streams took: segments, the seconds that each waited, and CPU seconds of all."""

    cpu: float = 0.0
    waits: list[float] = field(default_factory=list)


def recorded(room: Room, name: str) -> Iterator[Figure]:
    """On the database of that name, each time in a store of its own."""
    yield from _streams(room, name)
    with _place(room, name, "exchanges") as place:
        yield from _exchanges(room, name, place)


@contextmanager
def _place(room: Room, name: str, what: str) -> Iterator[Place]:
    folder = room.folder / f"{name.lower()}-{what}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name == SQLITE:
        file = folder / "authz.db"
        yield Place(f"sqlite:///{file}", folder, lambda: file.stat().st_size)
        return
    with database() as running:
        yield Place(running.url, folder, lambda: _database_size(running.url), running.keys)


def _database_size(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _exchanges(room: Room, name: str, place: Place) -> Iterator[Figure]:
    """What exchanges with about 1.5 KB of text in six entries take: bytes, and time to verify them."""
    count = max(20, int(room.seconds * EXCHANGES_A_SECOND))
    asyncio.run(_filled(place, 0, has_texts=False))
    empty = place.size()
    for has_texts in (False, True):
        asyncio.run(_filled(place, count, has_texts=has_texts))
        what = "with" if has_texts else "without"
        size = (place.size() - empty) / count
        yield Figure(f"{name}, an exchange stored, {what} full-text search", size, "bytes")
    for what, with_payloads in (("without payloads", False), ("with payloads", True)):
        entries, cpu, seconds = _verified(place, with_payloads=with_payloads)
        yield Figure(f"{name}, verification {what}", entries / seconds, "entries/s")
        yield Figure(f"{name}, verification {what}, by CPU", entries / cpu, "entries/CPU s")


async def _filled(place: Place, count: int, *, has_texts: bool) -> None:
    async with store(place.url, place.folder, keys_url=place.keys) as opened:
        await fill(opened, count, has_texts=has_texts)


def _verified(place: Place, *, with_payloads: bool) -> tuple[int, float, float]:
    """How many entries, in how many seconds of CPU and on the clock, by one process."""
    with closing(keyring(place.folder, place.keys)) as keys, reading(place.url, keys) as reader:
        cpu, began = time.process_time(), time.perf_counter()
        report = verify_store(reader, keys=[log_key(place.folder).vkey], kept=(), with_payloads=with_payloads)
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    if report.count:
        raise RuntimeError(f"a record that was just made does not verify: {report.wrong[0]}")
    return report.size, cpu, seconds


def _streams(room: Room, name: str) -> Iterator[Figure]:
    """Segments that each wait for the commit of the one before, in several streams at a time."""
    for streams in STREAMS:
        with _place(room, name, f"streams-{streams}") as place:
            done = asyncio.run(_streamed(place, streams, room.seconds))
            with reading(place.url) as reader:
                commits = reader.read(select(func.count(distinct(payloads.c.at)))).scalar_one()
        waits = sorted(done.waits)
        if streams == 1:
            for part in (50, 99):
                wait = 1e3 * waits[len(waits) * part // 100]
                yield Figure(commit_alone(name, part), wait, "ms")
        at_once = f"{streams} stream{'s' if streams > 1 else ''} at once"
        each = 1e6 * done.cpu / len(waits)
        yield Figure(f"{name}, a segment of an answer, {at_once}", each, "CPU µs")
        yield Figure(f"{name}, segments in one commit, {at_once}", len(waits) / commits, "segments")


async def _streamed(place: Place, streams: int, seconds: float) -> _Streamed:
    done = _Streamed()

    async def one(opened: SqlStore, number: int, until: float) -> None:
        name = f"ses_{number}"
        while True:
            draft = EntryDraft(Kind.ANSWER_RELEASED, name, {"masked": {}}, {"body": SEGMENT}, "p1")
            asked = time.perf_counter()
            await opened.append(draft)
            done.waits.append(time.perf_counter() - asked)
            if time.monotonic() >= until:
                return

    async with store(place.url, place.folder, keys_url=place.keys) as opened:
        began, until = time.process_time(), time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(one(opened, number, until))
        done.cpu = time.process_time() - began
    return done
