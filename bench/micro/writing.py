"""A writer of the record that is never idle: so many calls at once, each of one entry with a payload.

As `python -m bench.micro.writing URL KEYS_URL FOLDER NAME SECONDS` it is a replica in a process of its own,
which starts to write when it is told to on its standard input, and prints what it has written as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.stores import store

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.sql_store import SqlStore

AT_ONCE = 64
PAYLOAD = 3900  # bytes


@dataclass(frozen=True, slots=True)
class Written:
    """The seconds that each call waited for its commit, how long all of it took, and of the process's CPU."""

    waits: list[float]
    seconds: float
    cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Entries a second."""
        return len(self.waits) / self.seconds


async def write(opened: SqlStore, name: str, seconds: float) -> Written:
    """Keep 64 calls under way for so many seconds, of callers who are known already."""
    waits: list[float] = []

    def draft(number: int) -> EntryDraft:
        session, body = f"ses_{name}_{number}", {"body": bytes(PAYLOAD)}
        return EntryDraft(Kind.ANSWER_RELEASED, session, {"masked": {}}, body, f"p{number}")

    async def one(number: int) -> None:
        while time.monotonic() - began < seconds:
            asked = time.perf_counter()
            await opened.append(draft(number))
            waits.append(time.perf_counter() - asked)

    await opened.append(*map(draft, range(AT_ONCE)))  # which makes their keys, a commit for each
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(one(number))
    return Written(waits, time.monotonic() - began)


async def _replica(url: str, keys_url: str, folder: Path, name: str, seconds: float) -> None:
    async with store(url, folder, keys_url=keys_url) as opened:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.process_time()
        done = await write(opened, name, seconds)
        cpu = time.process_time() - began
    print(json.dumps({"waits": done.waits, "seconds": done.seconds, "cpu": cpu}), flush=True)


if __name__ == "__main__":
    _url, _keys_url, _folder, _name, _seconds = sys.argv[1:]
    asyncio.run(_replica(_url, _keys_url, Path(_folder), _name, float(_seconds)))
