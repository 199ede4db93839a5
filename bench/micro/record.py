"""What the record takes: entries a second with durable commits, verification, segments of streams, bytes.

One writer is one event loop with 64 calls under way. Four are four loops on one SQLite store, which one
process has for itself, and four replicas on one PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.micro.figure import Figure, Room
from bench.micro.writing import Written, write
from bench.postgres import database
from bench.sessions.filling import fill
from bench.stores import keyring, log_key, store
from sqlalchemy import distinct, func, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.record_reader import reading
from authz_service.store.schema import payloads
from authz_service.store.sql_store import SqlStore
from authz_service.store.verify_store import verify_store

WRITERS = (1, 4)
STREAMS = (1, 16, 64)
SEGMENT = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
EXCHANGES_A_SECOND = 1000


def record(room: Room) -> Iterator[Figure]:
    """On SQLite, then on PostgreSQL."""
    for writers in WRITERS:
        folder = _folder(room, f"sqlite-{writers}")
        url = f"sqlite:///{folder / 'authz.db'}"
        began = time.process_time()
        done = asyncio.run(_loops(url, folder, writers, room.seconds))
        took = time.process_time() - began
        yield from _written("SQLite", writers, done)
        yield Figure(f"SQLite, {_so_many(writers)}: an entry", 1e6 * took / _count(done), "CPU µs")
    yield from _streams(room)
    yield from _exchanges(room)
    with database() as postgres:
        for writers in WRITERS:
            folder = _folder(room, "postgresql")
            done = _replicas(postgres.url, postgres.keys, folder, writers, room.seconds)
            yield from _written("PostgreSQL", writers, done)
            took = sum(one.cpu for one in done)
            what = f"PostgreSQL, {_so_many(writers)}: an entry, without the server"
            yield Figure(what, 1e6 * took / _count(done), "CPU µs")


def _written(name: str, writers: int, done: Sequence[Written]) -> Iterator[Figure]:
    who = f"{name}, {_so_many(writers)}"
    waits = sorted(wait for one in done for wait in one.waits)
    yield Figure(f"{who}: durable", sum(one.per_second for one in done), "entries/s")
    yield Figure(f"{who}: until committed, p99", 1000 * waits[len(waits) * 99 // 100], "ms")


def _so_many(writers: int) -> str:
    return f"{writers} writer{'s' if writers > 1 else ''}"


def _count(done: Sequence[Written]) -> int:
    return sum(len(one.waits) for one in done)


async def _loops(url: str, folder: Path, writers: int, seconds: float) -> list[Written]:
    done: list[Written] = []

    def loop(number: int) -> None:
        done.append(asyncio.run(write(opened, str(number), seconds)))

    async with store(url, folder) as opened:
        threads = [threading.Thread(target=loop, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    return done


def _replicas(url: str, keys_url: str, folder: Path, writers: int, seconds: float) -> list[Written]:
    keyring(folder, keys_url).close()  # made before they look for it, as the key of the log is
    log_key(folder)
    command = [sys.executable, "-m", "bench.micro.writing", url, keys_url, str(folder)]
    running = [
        subprocess.Popen(
            [*command, str(number), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(writers)
    ]
    for one in running:
        if one.stdout is None or one.stdout.readline() != "ready\n":
            raise RuntimeError("a replica did not start")
    for one in running:
        if one.stdin is not None:
            one.stdin.write("go\n")
            one.stdin.flush()
    return [Written(**json.loads(one.communicate()[0])) for one in running]


def _exchanges(room: Room) -> Iterator[Figure]:
    """What exchanges with about 1.5 KB of text in six entries take: bytes, and CPU time to verify them."""
    count = max(20, int(room.seconds * EXCHANGES_A_SECOND))
    folder = _folder(room, "exchanges")
    url = f"sqlite:///{folder / 'authz.db'}"
    for has_texts in (False, True):
        asyncio.run(_filled(url, folder, count, has_texts=has_texts))
        size = (folder / "authz.db").stat().st_size
        what = "with" if has_texts else "without"
        yield Figure(f"an exchange stored, {what} full-text search", size / count, "bytes")
    keys = keyring(folder)
    try:
        for what, with_payloads in (("without payloads", False), ("with payloads", True)):
            with reading(url, keys) as reader:
                began = time.process_time()
                report = verify_store(
                    reader, keys=[log_key(folder).vkey], kept=(), with_payloads=with_payloads
                )
                took = time.process_time() - began
            if report.count:
                raise RuntimeError(f"a record that was just made does not verify: {report.wrong[0]}")
            yield Figure(f"verification {what}", report.size / took, "entries/CPU s")
    finally:
        keys.close()


async def _filled(url: str, folder: Path, count: int, *, has_texts: bool) -> None:
    async with store(url, folder) as opened:
        await fill(opened, count, has_texts=has_texts)


def _streams(room: Room) -> Iterator[Figure]:
    """Segments that each wait for the commit of the one before, in several streams at a time."""
    for streams in STREAMS:
        folder = _folder(room, f"streams-{streams}")
        url = f"sqlite:///{folder / 'authz.db'}"
        cpu, segments = asyncio.run(_stream(url, folder, streams, room.seconds))
        with reading(url) as reader:
            commits = reader.read(select(func.count(distinct(payloads.c.at)))).scalar_one()
        at_once = f"{streams} stream{'s' if streams > 1 else ''} at once"
        yield Figure(f"a segment of an answer, {at_once}", 1e6 * cpu / segments, "CPU µs")
        yield Figure(f"segments in one commit, {at_once}", segments / commits, "segments")


async def _stream(url: str, folder: Path, streams: int, seconds: float) -> tuple[float, int]:
    segments = 0

    async def one(opened: SqlStore, number: int, until: float) -> None:
        nonlocal segments
        name = f"ses_{number}"
        while True:
            draft = EntryDraft(Kind.ANSWER_RELEASED, name, {"masked": {}}, {"body": SEGMENT}, "p1")
            await opened.append(draft)
            segments += 1
            if time.monotonic() >= until:
                return

    async with store(url, folder) as opened:
        began, until = time.process_time(), time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(streams):
                group.create_task(one(opened, number, until))
        return time.process_time() - began, segments


def _folder(room: Room, name: str) -> Path:
    folder = room.folder / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
