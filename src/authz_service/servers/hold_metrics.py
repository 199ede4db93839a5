"""How many holds wait for people, for their votes or their review, and for how long, as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.errors import AuthzError
from authz_service.store.hold_ages import HoldAges

SECONDS: Final = 2.0
"""What the store may take; a page without these numbers is better than none."""

BOUNDS: Final[Mapping[str, float]] = {"1m": 60.0, "5m": 300.0, "15m": 900.0, "1h": 3600.0}
"""Up to which age a hold counts, by the label that says so."""

OLDER: Final = "older"


class AgedStore(Protocol):
    """What knows the ages of holds; see `store.hold_ages`."""

    async def hold_ages(self, bounds: Sequence[float]) -> HoldAges: ...


class HoldMetrics(Collector):
    """Asks the store, which runs on `loop`, when it is asked; in one process of a service: all share it."""

    def __init__(self, store: AgedStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    def collect(self) -> list[Metric]:
        """A sample for each age, the longest wait, and the same of reviews; none while the store is away."""
        pending = GaugeMetricFamily(
            "authz_holds_pending", "Holds that wait for people, by how long they have.", labels=["age"]
        )
        oldest = GaugeMetricFamily(
            "authz_holds_oldest_seconds", "How long the oldest of them has waited; 0 for none."
        )
        to_review = GaugeMetricFamily(
            "authz_reviews_due", "Holds that were decided alone and wait for their review."
        )
        longest = GaugeMetricFamily(
            "authz_reviews_oldest_seconds", "How long ago the oldest of them was decided; 0 for none."
        )
        ages = self._ages()
        if ages is not None:
            for age, number in zip((*BOUNDS, OLDER), ages.counts, strict=True):
                pending.add_metric([age], number)
            oldest.add_metric([], ages.oldest)
            to_review.add_metric([], ages.to_review)
            longest.add_metric([], ages.longest_to_review)
        return [pending, oldest, to_review, longest]

    def _ages(self) -> HoldAges | None:
        asked = asyncio.run_coroutine_threadsafe(self._store.hold_ages(tuple(BOUNDS.values())), self._loop)
        try:
            return asked.result(SECONDS)
        except (AuthzError, TimeoutError):
            asked.cancel()
            return None
