"""Time that passes for the writer when a test says so: on a busy machine real time may pass at any moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from tests.store.lossy import LossyPostgres

from authz_service.store.writer import Writer

Result = TypeVar("Result")


class Hurry:
    """Takes the place of the module `time` where the writer and its waits look at it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """As `time.monotonic`, and what has been passed over."""
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        """As `time.sleep`."""
        time.sleep(seconds)

    def pass_over(self, seconds: float, writer: Writer) -> None:
        """So much time has passed, for those too who wait for this writer."""
        self._ahead += seconds
        for waits in writer._waits.values():
            waits._end_overdue()

    async def until_given_up(self, seconds: float, work: Awaitable[Result], proxy: LossyPostgres) -> Result:
        """What becomes of `work` where its COMMIT is lost, and nobody can be asked about it for so long."""
        refused, doing = proxy.refused, asyncio.ensure_future(work)
        while proxy.refused == refused:
            await asyncio.sleep(0.005)
        self._ahead += seconds
        return await doing
