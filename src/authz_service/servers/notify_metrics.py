"""How deliveries stand, as metrics: what waits for each receiver, since when, and what became of the rest."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.runtime.notifying import Notifying


class NotifyMetrics(Collector):
    """Reads the numbers when it is asked for them."""

    def __init__(self, notifying: Notifying) -> None:
        self._notifying = notifying

    def collect(self) -> list[Metric]:
        """One sample for each receiver."""
        names = ["receiver"]
        queued = GaugeMetricFamily(
            "authz_notify_queued", "Notifications that wait for their receiver.", labels=names
        )
        oldest = GaugeMetricFamily(
            "authz_notify_oldest_seconds", "How long the oldest of them has waited; 0 for none.", labels=names
        )
        delivered = CounterMetricFamily(
            "authz_notify_delivered", "Notifications that a receiver took.", labels=names
        )
        failures = CounterMetricFamily(
            "authz_notify_failures", "Attempts that a receiver did not take.", labels=names
        )
        given_up = CounterMetricFamily(
            "authz_notify_given_up", "Notifications that were given up.", labels=names
        )
        for name, standing in self._notifying.standings.items():
            waited = self._notifying.now - standing.oldest_at if standing.queued else 0.0
            queued.add_metric([name], standing.queued)
            oldest.add_metric([name], max(waited, 0.0))
            delivered.add_metric([name], standing.delivered)
            failures.add_metric([name], standing.failures)
            given_up.add_metric([name], standing.given_up)
        return [queued, oldest, delivered, failures, given_up]
