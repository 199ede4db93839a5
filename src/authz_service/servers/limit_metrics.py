"""Metrics of limits: how often each kind refused a request; never whose."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.core.limits import CountedBy
from authz_service.core.usage import RATES
from authz_service.runtime.gateway import Gateway


class LimitMetrics(Collector):
    """Of this process; reads the numbers when it is asked for them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> list[Metric]:
        """One sample of each kind; those that have not come yet are 0, for rates to be taken."""
        refused = CounterMetricFamily(
            "authz_limited",
            "Requests that a limit refused, by whose it is and what it limits.",
            labels=["of", "limit"],
        )
        for by in CountedBy:
            for what in RATES:
                refused.add_metric([by.value, what], self._gateway.limited[by, what])
        return [refused]
