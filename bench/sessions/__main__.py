"""`python -m bench.sessions [--sessions N] [--url URL]`: how long lists, searches and pages take.

Without a URL the store is SQLite in a directory that goes afterwards. A million takes about an hour to fill.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from bench.sessions.filling import fill, name_of

from authz_service.core.ports import SessionQuery
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import WriterLimits

AIM = 0.200  # seconds at the 95th percentile
TRIES = 20

CASES: dict[str, SessionQuery] = {
    "newest": SessionQuery(),
    "caller, frequent": SessionQuery(caller="user1"),
    "caller, rare": SessionQuery(caller="user4711"),
    "model, frequent": SessionQuery(model="model1"),
    "model, rare": SessionQuery(model="model17"),
    "rule, rare": SessionQuery(rule="rule33"),
    "decision deny": SessionQuery(decision="deny"),
    "status denied": SessionQuery(status="denied"),
    "nobody's": SessionQuery(caller="nobody"),
    "rule and model": SessionQuery(rule="rule2", model="model3"),
    "group": SessionQuery(group="team7"),
    "entity": SessionQuery(entity="PRIVATE_KEY"),
    "entity and allow": SessionQuery(entity="PRIVATE_KEY", decision="allow"),
    "reviewer, none": SessionQuery(reviewer="rita"),
    "text, frequent word": SessionQuery(text="word1"),
    "text, rare word": SessionQuery(text="word19876"),
    "text, two words": SessionQuery(text="word40 word90"),
    "text, phrase": SessionQuery(text='"word1 word2 word3"'),
    "text and rule": SessionQuery(text="word1", rule="no-keys"),
    "beginning of an id": SessionQuery(id_prefix="ses_0000000000000000000000123"),
}


async def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="authz-sessions-") as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'authz.db'}"
        limits = WriterLimits(patience=120.0)
        store = await open_store(url, instance="bench", pseudonym=str, migrate=True, limits=limits)
        try:
            began = time.monotonic()
            await fill(store, options.sessions)
            took = time.monotonic() - began
            print(f"{options.sessions} sessions recorded and indexed in {took:.0f} s")
            await _report(store, options.sessions)
        finally:
            await store.close()


async def _report(store: SqlStore, count: int) -> None:
    chance = random.Random(11)
    print(f"{'':24}{'found':>6}{'p50 ms':>9}{'p95 ms':>9}")
    for name, query in CASES.items():
        page = await store.sessions(query)
        more = "+" if page.next_page_token else ""
        _say(name, f"{len(page.items)}{more}", await _times(partial(store.sessions, query)))

    async def show() -> None:
        session = name_of(chance.randrange(count))
        await store.session(session)
        await store.entries(session)

    _say("show", "1", await _times(show))


async def _times(work: Callable[[], Awaitable[object]]) -> list[float]:
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return sorted(times)


def _say(name: str, found: str, times: list[float]) -> None:
    p95 = times[int(len(times) * 0.95) - 1]
    late = "  above 200" if p95 > AIM else ""
    print(f"{name:24}{found:>6}{statistics.median(times) * 1000:9.1f}{p95 * 1000:9.1f}{late}")


if __name__ == "__main__":
    asyncio.run(main())
