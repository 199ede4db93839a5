"""`python -m bench.watched FILE ARGUMENTS`: the `authz` command, with a watchdog on its event loop.

It wants its turn every few milliseconds, and writes each time at which it was late: the moment by the
system's monotonic clock, by how much, and for how much of that the process itself had a CPU. On a busy
machine others make it late too; what no CPU time stands against was none of ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERY = 0.005
LATE = 0.01
"""Seconds; less is not written down."""


@dataclass(frozen=True, slots=True)
class Late:
    """A turn that came late, in seconds: `at` by `time.monotonic`, `by`, and `cpu` of the process in it."""

    at: float
    by: float
    cpu: float

    @property
    def own(self) -> float:
        """How much of it can be the process's own doing at most."""
        return min(self.by, self.cpu)


def read_late(file: Path, since: float, until: float) -> Sequence[Late]:
    """What was written about the time from `since` to `until`."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = [Late(*json.loads(line)) for line in lines]
    return [late for late in found if since <= late.at <= until]


async def watch(file: Path) -> None:
    """Write to `file` until cancelled."""
    with file.open("a", buffering=1) as out:
        while True:
            began, cpu = time.monotonic(), time.process_time()
            await asyncio.sleep(EVERY)
            now = time.monotonic()
            by = now - began - EVERY
            if by > LATE:
                print(json.dumps((now, by, time.process_time() - cpu)), file=out)


def main(file: Path, arguments: Sequence[str]) -> None:
    """Run the command with these arguments."""
    import uvloop

    from authz_cli.main import main as authz

    run = uvloop.run

    async def both(work: Coroutine[Any, Any, Any]) -> Any:
        watching = asyncio.create_task(watch(file))
        try:
            return await work
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    uvloop.run = lambda work, **options: run(both(work), **options)
    sys.argv = ["authz", *arguments]
    authz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
