"""Prometheus metrics on loopback: numbers only, never a name, a prompt or a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from authz_service.errors import Misconfigured
from authz_service.runtime.gateway import Gateway


class ExchangeMetrics(Collector):
    """What is in flight in this process; reads the numbers when it is asked for them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> list[GaugeMetricFamily]:
        """One sample of each gauge."""
        live, waiting = len(self._gateway.live), self._gateway.waiting.total
        return [
            GaugeMetricFamily("authz_exchanges_live", "Exchanges in flight.", value=live),
            GaugeMetricFamily("authz_exchanges_waiting", "Exchanges that wait for a hold.", value=waiting),
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
