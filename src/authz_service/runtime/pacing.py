"""How fast approved requests go to the models: evenly, so that a bulk approval is no stampede on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CATCH_UP_SECONDS = 0.05
"""What was missed while the process was busy is made good for this long, and no longer."""


@dataclass(slots=True)
class Pace:
    """`rate` says how many may go in a second at this moment. After a pause the first goes at once."""

    rate: Callable[[], float]
    _next_at: float = float("-inf")

    def take(self, wanted: int, now: float) -> tuple[int, float]:
        """How many of `wanted` (at least one) may go at `now`, and if none, in how many seconds one may."""
        each = 1.0 / self.rate()
        self._next_at = min(max(self._next_at, now - CATCH_UP_SECONDS), now + each)
        if self._next_at > now:
            return 0, self._next_at - now
        number = min(wanted, 1 + int((now - self._next_at) / each))
        self._next_at += number * each
        return number, 0.0

    def give_back(self) -> None:
        """One of those that might go does not: their turn is somebody else's."""
        self._next_at -= 1.0 / self.rate()
