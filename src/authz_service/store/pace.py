"""How much a unit of work of many takes at once, by how long the last one held the writer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from authz_service.errors import Unavailable
from authz_service.store.transaction import Transaction

Result = TypeVar("Result")
Row = TypeVar("Row")
Change = Callable[[Callable[[Transaction], Result]], Awaitable[Result]]

AIM_SECONDS = 0.025
"""So long a unit may hold the writer: a commit of somebody else waits no longer for it."""


@dataclass(slots=True)
class Pace:
    """`most` things go in the next unit, never less than `least`, nor more than `largest`."""

    most: int
    least: int
    largest: int

    async def run(self, change: Change[Result], work: Callable[[Transaction], Result]) -> Result:
        """Run one unit, and size the next by it; one that fails may have been too large."""
        began = 0.0

        def timed(transaction: Transaction) -> Result:
            nonlocal began
            began = time.monotonic()
            return work(transaction)

        try:
            result = await change(timed)
        except Unavailable:
            self._set(self.most // 4)
            raise
        if result is not None:  # else its plan was stale and nothing was done, which says nothing of its size
            self.took(time.monotonic() - began)
        return result

    async def each(
        self,
        change: Change[Result],
        rows: Sequence[Row],
        work: Callable[[Transaction, Sequence[Row]], Result],
    ) -> list[Result]:
        """Do it to all of these, some in each unit; between two units others have as much time."""
        found: list[Result] = []
        done = 0
        while done < len(rows):
            began = time.monotonic()
            some = rows[done : done + self.most]

            def unit(transaction: Transaction, some: Sequence[Row] = some) -> Result:
                return work(transaction, some)

            found.append(await self.run(change, unit))
            done += len(some)
            if done < len(rows):
                await asyncio.sleep(time.monotonic() - began)
        return found

    def took(self, seconds: float) -> None:
        """The last unit held the writer so long, with its commit."""
        wanted = self.most * AIM_SECONDS / max(seconds, 0.001)
        # A commit may take long for what is not its own, as when SQLite writes its log back: step by step.
        self._set(round(min(max(wanted, self.most / 2), self.most * 1.5)))

    def _set(self, most: int) -> None:
        self.most = min(max(most, self.least), self.largest)
