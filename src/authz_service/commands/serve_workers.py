"""`authz serve --workers N`: starts the workers and their keeper, again when one ends, and stops them all."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog

from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.probes import accepts, accepts_unix, free_port, reachable
from authz_service.proxy.supervise import Program, Supervisor

if TYPE_CHECKING:
    from authz_service.app import ServeSettings

log = structlog.get_logger(__name__)

STOPS_WITHIN = 12.0
WORKERS_STOP_WITHIN = 2 * STOPS_WITHIN + 5.0
"""Seconds: the workers together, then their keeper."""


def serve_workers(settings: ServeSettings, workers: int, log_level: str) -> None:
    """Run all until SIGTERM or SIGINT. SIGHUP goes to each.

    Raises `Misconfigured` when the configuration cannot serve several, or one of them does not start.
    """
    import uvloop

    from authz_service.cel.load import load_config
    from authz_service.store.crew import require_possible

    config = load_config(settings.config).config
    require_possible(config, settings.data, workers)
    if settings.review.endswith(":0"):
        raise Misconfigured("several workers need a review address with a port: --review HOST:PORT")
    uvloop.run(_serve(settings, config, workers, log_level))


async def _serve(settings: ServeSettings, config: Config, workers: int, log_level: str) -> None:
    from authz_service.servers.metrics import serve_metrics
    from authz_service.servers.worker_metrics import WorkerMetrics

    parts = [Part(workers), *(Part(workers, worker) for worker in range(workers))]
    ports = {part.name: free_port() for part in parts}
    programs = tuple(_program(settings, config, part, ports[part.name], log_level) for part in parts)
    supervisor = Supervisor(programs, lambda line: log.warning("service.process_ended", note=line))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def reload() -> None:
        for part in parts:
            supervisor.signal(part.name, signal.SIGHUP)

    async with AsyncExitStack() as stack:
        metrics = await stack.enter_async_context(serve_metrics(settings.metrics, [WorkerMetrics(ports)]))

        def ready() -> None:
            import orjson

            loop.add_signal_handler(signal.SIGHUP, reload)
            addresses = {"review": settings.review, "metrics": metrics, "workers": workers}
            click.echo(orjson.dumps(addresses).decode())
            sys.stdout.flush()

        await supervisor.run(stop, ready)


def _program(settings: ServeSettings, config: Config, part: Part, metrics: int, log_level: str) -> Program:
    command = [sys.executable, "-m", "authz_cli.main", "serve"]
    command += ["--config", str(settings.config), "--data-dir", str(settings.data.root)]
    command += ["--workers", str(part.workers), "--part", str(-1 if part.worker is None else part.worker)]
    command += ["--metrics", str(metrics), "--log-level", log_level]
    if part.worker is None:
        command += ["--review", settings.review]
        if settings.review_tls is not None:
            tls = settings.review_tls
            command += ["--review-cert", str(tls.cert), "--review-key", str(tls.key)]
    return Program(
        name=part.name,
        command=tuple(command),
        log=None,
        is_ready=lambda: (
            _reviews(settings) if part.worker is None else worker_serves(config, settings.data, part)
        ),
        stops_within=STOPS_WITHIN,
        beside=bool(part.worker),
    )


def worker_serves(config: Config, data: DataDir, part: Part) -> bool:
    """Whether this worker listens to Envoy."""
    if config.link is None:
        return accepts_unix(part.socket(data))
    host, port = config.link.listen
    return accepts(reachable(host), part.port(port))


def _reviews(settings: ServeSettings) -> bool:
    address = settings.review
    if address.startswith("unix:"):
        return accepts_unix(Path(address.removeprefix("unix:")))
    host, _, port = address.rpartition(":")
    return accepts(reachable(host.strip("[]")), int(port))
