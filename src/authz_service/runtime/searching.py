"""For how long a body is searched while somebody waits to see it."""

from __future__ import annotations

import time
from typing import Final

SEARCHED_FOR: Final = 0.7
"""Seconds of computing."""


class SearchTime:
    """Whether there is time to go on, from the first time that it is asked, in the thread that asks."""

    def __init__(self) -> None:
        self._end: float | None = None

    def __call__(self) -> bool:
        """False once the time is over."""
        now = time.thread_time()
        if self._end is None:
            self._end = now + SEARCHED_FOR
        return now < self._end
