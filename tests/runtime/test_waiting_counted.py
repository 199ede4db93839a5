"""How many wait is asked by the page of metrics, in a thread of its own, while holds come and go."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
from tests.runtime.waiting_fakes import Holds

from authz_service.runtime.pacing import Pace
from authz_service.runtime.waiting import Waiting

LONG = 2000
TIMES = 10_000


@pytest.fixture(autouse=True)
def switching() -> Iterator[None]:
    """As often as it goes, between the threads."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_how_many_wait_is_told_whoever_comes_and_goes_meanwhile() -> None:
    async def scenario() -> None:
        waiting = Waiting(Holds(), Pace(lambda: 500.0))
        for number in range(LONG):
            waiting.watch(f"hold_{number}", lambda _: None, seconds=60.0)
        failed: list[Exception] = []
        asked: list[int] = []
        over = threading.Event()

        def ask() -> None:
            try:
                while not over.is_set():
                    asked.append(waiting.total)
            except RuntimeError as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while not asked:  # of two threads on a busy machine one may have all turns for a while
            await asyncio.sleep(0.001)
        for number in range(TIMES):
            waiting.leave(waiting.watch(f"other_{number}", lambda _: None, seconds=60.0))
            if failed:
                break
        over.set()
        asking.join()
        assert failed == []
        assert asked
        assert set(asked) <= {LONG, LONG + 1}

    asyncio.run(scenario())
