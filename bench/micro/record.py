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
from bench.micro.recorded import POSTGRESQL, SQLITE, recorded
from bench.micro.writing import Written, write
from bench.postgres import database
from bench.stores import keyring, log_key, store

WRITERS = (1, 4)


def record(room: Room) -> Iterator[Figure]:
    """On SQLite, then on PostgreSQL."""
    for writers in WRITERS:
        folder = _folder(room, f"sqlite-{writers}")
        url = f"sqlite:///{folder / 'authz.db'}"
        began = time.process_time()
        done = asyncio.run(_loops(url, folder, writers, room.seconds))
        took = time.process_time() - began
        yield from _written(SQLITE, writers, done)
        yield Figure(f"SQLite, {_so_many(writers)}: an entry", 1e6 * took / _count(done), "CPU µs")
    yield from recorded(room, SQLITE)
    with database() as postgres:
        for writers in WRITERS:
            folder = _folder(room, "postgresql")
            done = _replicas(postgres.url, postgres.keys, folder, writers, room.seconds)
            yield from _written(POSTGRESQL, writers, done)
            took = sum(one.cpu for one in done)
            what = f"PostgreSQL, {_so_many(writers)}: an entry, without the server"
            yield Figure(what, 1e6 * took / _count(done), "CPU µs")
    yield from recorded(room, POSTGRESQL)


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


def _folder(room: Room, name: str) -> Path:
    folder = room.folder / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
