"""Prometheus metrics, and probes beside them: numbers only, never a name, a prompt or a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http.server import ThreadingHTTPServer
from itertools import accumulate
from threading import Thread

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.core.durations import BUCKETS, Durations
from authz_service.errors import AuthzError, Misconfigured
from authz_service.runtime.gateway import Gateway
from authz_service.servers.probes import Probed
from authz_service.servers.process_start import process_start
from authz_service.store.sql_store import SqlStore

DECISIONS = ("allow", "hold", "deny", "refused")
"""The label of each; those that have not come yet are shown as 0, so that a rate can be taken of them."""

RECORD_SECONDS = 1.0
"""What the record may take to begin and end a transaction before it counts as away."""


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
        masked = CounterMetricFamily(
            "authz_masked", "Values that were masked, by their entity type.", labels=["side", "entity"]
        )
        for (side, entity), number in gateway.masked.copy().items():  # it grows in another thread
            masked.add_metric([side, entity], number)
        added = HistogramMetricFamily(
            "authz_added_seconds",
            "What the gateway added to an exchange, without people, callers and models.",
            labels=["phase"],
        )
        took = gateway.took
        for phase, durations in (
            ("check", took.check),
            ("request", took.request),
            ("answer_start", took.answer_start),
            ("answer_end", took.answer_end),
        ):
            added.add_metric([phase], *_buckets(durations))
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
                "authz_request_buffered_bytes", "Bodies kept in memory.", value=gateway.buffered
            ),
            GaugeMetricFamily(
                "authz_record_backlog",
                "Ends of exchanges and counts that the record does not have yet.",
                value=gateway.recorder.backlog,
            ),
            decisions,
            masked,
            added,
            _histogram("authz_decide_seconds", "How long it took to read and judge a request.", took.decide),
        ]


class PolicyMetrics(Collector):
    """Which policy is in force in this process; `digest` is asked each time."""

    def __init__(self, digest: Callable[[], str]) -> None:
        self._digest = digest

    def collect(self) -> list[Metric]:
        """One sample, whose label is the digest that the record has in `policy.activated`."""
        policy = GaugeMetricFamily("authz_policy_info", "Always 1.", labels=["policy"])
        policy.add_metric([self._digest()], 1)
        return [policy]


class RecordMetrics(Collector):
    """Whether the record can be written to, how it keeps up, and what runs here; the store runs on `loop`."""

    def __init__(self, store: SqlStore, version: str, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._version = version
        self._loop = loop

    def collect(self) -> list[Metric]:
        """Asks the record; a histogram of commits, what waits for one, and what runs here since when."""
        commits = self._store.commits
        build = GaugeMetricFamily("authz_build_info", "Always 1.", labels=["version"])
        build.add_metric([self._version], 1)
        return [
            build,
            process_start(),
            GaugeMetricFamily(
                "authz_record_up", "1 where the record can be written to.", value=float(self._is_up())
            ),
            _histogram(
                "authz_record_commit_seconds", "How long the record took to commit a group.", commits.took
            ),
            CounterMetricFamily("authz_record_units", "Units of work in those groups.", value=commits.units),
            GaugeMetricFamily(
                "authz_record_queue", "Units of work that wait for their group.", value=self._store.queued
            ),
        ]

    def _is_up(self) -> bool:
        asked = asyncio.run_coroutine_threadsafe(self._store.probe(), self._loop)
        try:
            asked.result(RECORD_SECONDS)
        except (AuthzError, TimeoutError):
            asked.cancel()
            return False
        return True


def _histogram(name: str, meaning: str, durations: Durations) -> HistogramMetricFamily:
    buckets, total = _buckets(durations)
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=total)


def _buckets(durations: Durations) -> tuple[list[tuple[str, float]], float]:
    bounds = (*(str(bound) for bound in BUCKETS), "+Inf")
    return [*zip(bounds, accumulate(durations.counts), strict=True)], durations.seconds


class _Server(ThreadingHTTPServer):
    """Whoever is still being answered does not keep the process from ending."""

    daemon_threads = True


@asynccontextmanager
async def serve_metrics(
    address: tuple[str, int], collectors: Sequence[Collector], probed: Probed
) -> AsyncIterator[str]:
    """Serve `/metrics`, `/live` and `/ready` on HOST, PORT within the context (0 chooses one).

    Yields the URL of the metrics.
    """
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    host, port = address
    try:
        server = _Server((host, port), _handler(registry, probed))
    except OSError as error:
        raise Misconfigured(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another port with --metrics"
        ) from error
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


def _handler(registry: CollectorRegistry, probed: Probed) -> type[MetricsHandler]:
    class Handler(MetricsHandler.factory(registry)):  # type: ignore[misc]  # made by a function
        """Answers probes; everything else is a page of metrics."""

        def do_GET(self) -> None:
            """As BaseHTTPRequestHandler calls it."""
            question = {"/live": probed.live, "/ready": probed.ready}.get(self.path)
            if question is None:
                super().do_GET()
                return
            health = question()
            self.send_response(200 if health.is_well else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(health.said)))
            self.end_headers()
            self.wfile.write(health.said)

    return Handler
