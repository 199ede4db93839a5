"""Prometheus metrics on loopback: numbers only, never a name, a prompt or a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.errors import Misconfigured
from authz_service.runtime.gateway import Gateway
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import BUCKETS

DECISIONS = ("allow", "hold", "deny", "refused")
"""The label of each; those that have not come yet are shown as 0, so that a rate can be taken of them."""


class ExchangeMetrics(Collector):
    """What is in flight in this process; reads the numbers when it is asked for them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> list[Metric]:
        """One sample of each gauge, and of each decision."""
        gateway = self._gateway
        decisions = CounterMetricFamily(
            "authz_decisions", "Requests by what was first decided of them.", labels=["effect"]
        )
        for effect in DECISIONS:
            decisions.add_metric([effect], gateway.decisions[effect])
        return [
            GaugeMetricFamily("authz_exchanges_live", "Exchanges in flight.", value=len(gateway.live)),
            GaugeMetricFamily(
                "authz_exchanges_waiting", "Exchanges that wait for a hold.", value=gateway.waiting.total
            ),
            GaugeMetricFamily(
                "authz_holds_to_release",
                "Approved holds that wait for their turn by holds.release_rate.",
                value=gateway.waiting.approved,
            ),
            GaugeMetricFamily(
                "authz_request_buffered_bytes", "Bodies of requests kept in memory.", value=gateway.buffered
            ),
            GaugeMetricFamily(
                "authz_record_backlog",
                "Ends of exchanges and counts that the record does not have yet.",
                value=gateway.recorder.backlog,
            ),
            decisions,
        ]


class RecordMetrics(Collector):
    """How the record keeps up, and what runs here."""

    def __init__(self, store: SqlStore, version: str) -> None:
        self._store = store
        self._version = version

    def collect(self) -> list[Metric]:
        """A histogram of commits, what waits for one, and the version."""
        commits, counts = self._store.commits, list(accumulate(self._store.commits.counts))
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        build = GaugeMetricFamily("authz_build_info", "Always 1.", labels=["version"])
        build.add_metric([self._version], 1)
        return [
            build,
            HistogramMetricFamily(
                "authz_record_commit_seconds",
                "How long the record took to commit a group.",
                buckets=list(zip(bounds, counts, strict=True)),
                sum_value=commits.seconds,
            ),
            CounterMetricFamily("authz_record_units", "Units of work in those groups.", value=commits.units),
            GaugeMetricFamily(
                "authz_record_queue", "Units of work that wait for their group.", value=self._store.queued
            ),
        ]


@asynccontextmanager
async def serve_metrics(port: int, collectors: Sequence[Collector]) -> AsyncIterator[str]:
    """Serve on 127.0.0.1 within the context (`port` 0 chooses one); yields the URL."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise Misconfigured(f"cannot serve metrics on 127.0.0.1:{port}: {error.strerror}") from error
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
