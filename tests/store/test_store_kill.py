"""Killed at any moment: what was acknowledged is on record, and the record is whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.audit.entry import decode
from authz_service.audit.merkle import Frontier, leaf_hash

WRITES = """
import asyncio, sys, os
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.open import open_store
from authz_service.store.writer import WriterLimits

async def main():
    store = await open_store(sys.argv[1], instance="one", pseudonym=str, limits=WriterLimits(patience=60.0))
    start = sys.argv[2]

    async def writes(task):
        for i in range(100_000):
            session = f"{start}-{task}-{i}"
            await store.append(
                EntryDraft(Kind.REQUEST_RECEIVED, session, {"api": "openai"}),
                EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": session.encode() * 50}),
            )
            os.write(1, (session + "\\n").encode())

    await asyncio.gather(*(writes(task) for task in range(8)))

asyncio.run(main())
"""


def killed_after(lines: int, url: str, start: int) -> list[str]:
    """Run the writing process and kill it (SIGKILL) once it has acknowledged so many; all it did."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITES, url, str(start)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    acknowledged += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    # A line that was cut was acknowledged to nobody.
    return [line.strip() for line in acknowledged if line.endswith("\n")]


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_before_a_kill_is_on_record_and_the_root_verifies(
    place: Any, make: Any, run: Any, seed: int
) -> None:
    rolls = random.Random(seed)
    acknowledged = [s for start in range(2) for s in killed_after(rolls.randint(1, 400), place.url, start)]

    async def reopens() -> None:
        async with place.store() as store:
            assert await store.recover() >= len(acknowledged)
            session = await store.session(acknowledged[-1])
            assert session is not None
            assert session.status == "interrupted"

    run(reopens())
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        frontier = Frontier()
        recorded = set()
        payloads = {bytes(d) for d in connection.execute(text("SELECT digest FROM payloads")).scalars()}
        for body in connection.execute(text("SELECT body FROM entries ORDER BY seq")).scalars():
            frontier.append(leaf_hash(bytes(body)))
            entry = decode(bytes(body))
            assert all(ref.digest in payloads for ref in entry.payloads.values())
            if entry.kind == "request.released":
                recorded.add(entry.session)
        size, root = connection.execute(text("SELECT size, root FROM head")).one()
    engine.dispose()
    assert (size, bytes(root)) == (frontier.size, frontier.root())
    assert set(acknowledged) <= recorded
