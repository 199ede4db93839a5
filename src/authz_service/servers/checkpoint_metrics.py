"""How checkpoints stand, as metrics: whether they agree, how old the last one is, who has it."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.runtime.checkpoints import Checkpoints


class CheckpointMetrics(Collector):
    """Reads the numbers when it is asked for them."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def collect(self) -> list[Metric]:
        """Gauges for the record, and one sample for each receiver."""
        checkpoints = self._checkpoints
        names = ["receiver"]
        delivered = GaugeMetricFamily(
            "authz_checkpoint_delivered_size",
            "Entries that the receiver's newest checkpoint counts.",
            labels=names,
        )
        failures = CounterMetricFamily(
            "authz_checkpoint_delivery_failures", "Checkpoints that a receiver did not take.", labels=names
        )
        for standing in checkpoints.deliveries.standings.values():
            delivered.add_metric([standing.name], standing.size)
            failures.add_metric([standing.name], standing.failures)
        return [
            GaugeMetricFamily(
                "authz_checkpoint_consistent",
                "1 while the record contains what its last checkpoint was signed for, else 0.",
                value=int(checkpoints.is_consistent),
            ),
            GaugeMetricFamily(
                "authz_checkpoint_size", "Entries that the last checkpoint counts.", value=checkpoints.size
            ),
            GaugeMetricFamily(
                "authz_checkpoint_timestamp_seconds",
                "When it was taken; 0 for never.",
                value=checkpoints.taken_at,
            ),
            delivered,
            failures,
        ]
