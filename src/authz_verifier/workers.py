"""Bundles that other processes read ahead, in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from authz_verifier.bundles import Bundle, Export
from authz_verifier.errors import CannotVerify
from authz_verifier.tiles import WIDTH

TILES_AT_ONCE = 16
MOST_JOBS = 8
FEW_ENTRIES = 500_000
FEW_BYTES = 2 << 30
"""Of payloads: so much is verified about as soon by one process as by several, which have to start first."""
_export: Export | None = None
"""What a process that helps reads bundles of."""


def bundles(export: Export, size: int, jobs: int) -> Iterator[Bundle]:
    """All bundles in order, read by so many processes, or by this one; a few are in memory at a time."""
    tiles = -(-size // WIDTH)
    if jobs < 2:
        yield from export.bundles(range(tiles), size)
        return
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), _open, (export.folder, export.manifest)
    )
    waiting: deque[Future[list[Bundle]]] = deque()
    try:
        for start in range(0, tiles, TILES_AT_ONCE):
            waiting.append(pool.submit(_read, range(start, min(tiles, start + TILES_AT_ONCE)), size))
            if len(waiting) > 2 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        why = "a process that helped has ended, perhaps for lack of memory; try --jobs 1"
        raise CannotVerify(why) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _open(folder: Path, manifest: dict[str, Any]) -> None:
    global _export
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that has the others
    _export = Export(folder, manifest)


def _read(numbers: range, size: int) -> list[Bundle]:
    assert _export is not None
    return list(_export.bundles(numbers, size))


def default_jobs(folder: Path, size: int) -> int:
    """As many as there are processors for this process, at most 8; one where there is little to verify."""
    if size < FEW_ENTRIES and _payload_bytes(folder) < FEW_BYTES:
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_JOBS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _payload_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "payloads").rglob("*") if path.is_file())
