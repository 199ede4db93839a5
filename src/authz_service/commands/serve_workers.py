"""`authz serve --workers N`: starts the workers and their keeper, again when one ends, and stops them all."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click
import structlog

from authz_service.commands.deferred import Deferred
from authz_service.config.model import Config
from authz_service.errors import AuthzError, Misconfigured
from authz_service.keys.crew import Part
from authz_service.proxy.leaving import left_out_within
from authz_service.proxy.listening import worker_serves
from authz_service.proxy.probes import accepts, accepts_unix, reachable, reserved_port
from authz_service.proxy.supervise import Program, Supervisor

if TYPE_CHECKING:
    from authz_service.app import ServeSettings

log = structlog.get_logger(__name__)

STOPS_WITHIN = 12.0
"""Seconds that a process gets to stop, beside those of its drain."""
SETTLES = 3.0
"""Seconds for which Envoy may leave out a worker that was away, though it answers again."""
NEED_ALL = ("listen", "link", "models", "store_url", "record")
"""Sections of the configuration that all processes, and Envoy's file, must have alike."""


def serve_workers(settings: ServeSettings, workers: int, log_level: str) -> None:
    """Run all until SIGTERM or SIGINT. SIGHUP goes to each, SIGUSR2 replaces one after the other.

    Raises `Misconfigured` when the configuration cannot serve several, or one of them does not start.
    """
    import uvloop

    from authz_service.cel.load import load_config
    from authz_service.store.crew import require_possible

    config = load_config(settings.config).config
    require_possible(config, settings.data, workers)
    if settings.review.endswith(":0"):
        raise Misconfigured("several workers need a review address with a port: --review HOST:PORT")
    parts = [Part(workers), *(Part(workers, worker) for worker in range(workers))]
    with ExitStack() as reserved:
        ports = {part.name: reserved.enter_context(reserved_port()) for part in parts}
        uvloop.run(_serve(settings, config, parts, ports, log_level))


def workers_stop_within(drain: float) -> float:
    """Seconds: the workers together, then their keeper."""
    return 2 * STOPS_WITHIN + drain + 5.0


async def _serve(
    settings: ServeSettings, config: Config, parts: Sequence[Part], ports: Mapping[str, int], log_level: str
) -> None:
    """`ports` has where each of the parts is asked for its metrics, by its name."""
    from authz_service.servers.metrics import serve_metrics
    from authz_service.servers.worker_metrics import WorkerMetrics, WorkerProbes

    programs = tuple(_program(settings, config, part, ports[part.name], log_level) for part in parts)
    supervisor = Supervisor(programs, lambda line: log.warning("service.process_ended", note=line))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopped(number: signal.Signals) -> None:
        if stop.is_set():
            supervisor.kill_all()
        elif number is signal.SIGUSR1:
            supervisor.stop_signal = number
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        loop.add_signal_handler(number, stopped, number)

    reloads = Deferred()
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)  # some may have read the file when it comes

    def reload() -> None:
        for part in parts:
            supervisor.signal(part.name, signal.SIGHUP)

    async with AsyncExitStack() as stack:
        rolling = stack.enter_context(_Rolling(supervisor, settings, config, parts[0].workers))
        metrics = await stack.enter_async_context(
            serve_metrics(settings.metrics, [WorkerMetrics(ports, supervisor.ends)], WorkerProbes(ports))
        )

        def ready() -> None:
            import orjson

            reloads.begin(reload)
            loop.add_signal_handler(signal.SIGUSR2, rolling.start)
            addresses = {"review": settings.review, "metrics": metrics, "workers": parts[0].workers}
            click.echo(orjson.dumps(addresses).decode())
            sys.stdout.flush()

        await supervisor.run(stop, ready)


class _Rolling:
    """Replaces the processes one after the other; one round at a time, which the context's end breaks off."""

    def __init__(self, supervisor: Supervisor, settings: ServeSettings, config: Config, workers: int) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._config = config
        self._names = [*(Part(workers, worker).name for worker in range(workers)), Part(workers).name]
        self._round: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._round is not None:
            self._round.cancel()

    def start(self) -> None:
        """Begin a round, unless one is under way."""
        if self._round is not None and not self._round.done():
            log.warning("service.restart_kept", error="the last restart is still under way")
            return
        self._round = asyncio.create_task(self._replace_all())

    async def _replace_all(self) -> None:
        try:
            self._require_possible()
            for name in self._names:
                # By this signal it leaves Envoy to the others before it stops.
                await self._supervisor.replace(name, signal.SIGUSR2)
                log.info("service.process_replaced", process=name)
                await asyncio.sleep(SETTLES)
        except AuthzError as error:
            # What has not been replaced goes on as it was.
            log.error("service.restart_kept", error=str(error))
            return
        log.info("service.restarted")

    def _require_possible(self) -> None:
        """Raise `Misconfigured` where a process could not be started, or would not fit the others."""
        from authz_service.cel.load import load_config

        config = load_config(self._settings.config).config
        changed = [name for name in NEED_ALL if getattr(self._config, name) != getattr(config, name)]
        if changed:
            raise Misconfigured(
                f"{', '.join(changed)} changed, which all processes and Envoy must have alike: "
                "stop everything and start it again; nothing was restarted"
            )


def _program(settings: ServeSettings, config: Config, part: Part, metrics: int, log_level: str) -> Program:
    command = [sys.executable, "-m", "authz_cli.main", "serve"]
    command += ["--config", str(settings.config), "--data-dir", str(settings.data.root)]
    command += ["--workers", str(part.workers), "--part", str(-1 if part.worker is None else part.worker)]
    command += ["--metrics", str(metrics), "--log-level", log_level]
    command += ["--drain", str(settings.drain)]
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
            _reviews(settings) if part.worker is None else worker_serves(config.link, settings.data, part)
        ),
        stops_within=STOPS_WITHIN
        + (0.0 if part.worker is None else left_out_within(settings.data) + settings.drain),
        beside=bool(part.worker),
        waits=part.worker is not None,  # for the keeper, which makes keys and compares checkpoints first
    )


def _reviews(settings: ServeSettings) -> bool:
    address = settings.review
    if address.startswith("unix:"):
        return accepts_unix(Path(address.removeprefix("unix:")))
    host, _, port = address.rpartition(":")
    return accepts(reachable(host.strip("[]")), int(port))
