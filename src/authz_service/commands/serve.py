"""`authz serve`: the service alone, for an Envoy of one's own or under `authz up`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from authz_service.commands.deferred import Deferred
from authz_service.commands.garbage import freeze_what_is_loaded
from authz_service.commands.options import data_dir_option, drain_option, workers_option
from authz_service.commands.standing_by import input_ended

if TYPE_CHECKING:
    from authz_service.app import ServeSettings

PEM = click.Path(dir_okay=False, exists=True, path_type=Path)
LOG_LEVELS = ["debug", "info", "warning", "error"]


class MetricsAddress(click.ParamType[tuple[str, int]]):
    """A port, or an address and a port: 9102, 0.0.0.0:9102 or [::]:9102."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is no port: write 9102, or 0.0.0.0:9102", param, ctx)
        return host.strip("[]") or "127.0.0.1", int(port)


@click.command()
@click.option(
    "--config",
    "config",
    envvar="AUTHZ_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("authz.yaml"),
    show_default=True,
    help="The configuration file.",
)
@data_dir_option("Keys, sockets and the embedded database.")
@click.option(
    "--review",
    metavar="ADDRESS",
    help="Where the review API listens: unix:PATH (the default, in the data directory), or HOST:PORT, "
    "which needs --review-cert and --review-key.",
)
@click.option("--review-cert", type=PEM, metavar="FILE", help="The review API's certificate chain, PEM.")
@click.option("--review-key", type=PEM, metavar="FILE", help="The key of --review-cert, PEM.")
@click.option(
    "--metrics",
    type=MetricsAddress(),
    metavar="[HOST:]PORT",
    default="0",
    help="Where metrics and probes are served, by plain HTTP; without a host on 127.0.0.1. 0 chooses.",
)
@workers_option
@drain_option(20.0)
@click.option("--part", type=click.IntRange(-1), hidden=True, help="One process of several; -1 keeps.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True)
def command(
    config: Path,
    data_dir: Path,
    review: str | None,
    review_cert: Path | None,
    review_key: Path | None,
    metrics: tuple[str, int],
    workers: int,
    drain: float,
    part: int | None,
    log_level: str,
) -> None:
    """Serve ext_authz and ext_proc on the data directory's socket, and the review API.

    With several workers each is a process with a socket of its own (or the next port of service.listen), all
    on one PostgreSQL; one more process serves the review API and keeps the record. What ends is started
    again. Render Envoy's file with the same --workers.

    SIGHUP reads the configuration again; a file with faults changes nothing. SIGTERM and SIGINT stop.
    With several workers SIGUSR2 starts them anew one after the other, while the others answer.
    Prints one JSON line with its addresses when it serves.
    """
    if (review_cert is None) != (review_key is None):
        raise click.UsageError("--review-cert and --review-key go together")
    import uvloop

    from authz_service.app import ServeSettings
    from authz_service.config.gateway_values import Tls
    from authz_service.keys.crew import Part
    from authz_service.keys.data_dir import DataDir
    from authz_service.keys.only_one import only_one

    for number in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # until it can take them: by default they would end it
    log_to_stderr(log_level)
    data = DataDir.open(data_dir)
    address = review or f"unix:{data.review_socket}"
    tls = Tls(review_cert, review_key) if review_cert and review_key else None
    settings = ServeSettings(config.absolute(), data, address, metrics, tls, drain=drain)
    if part is not None:
        duty = Part(workers, None if part < 0 else part)
        uvloop.run(_serve(replace(settings, part=duty)))
        return
    with only_one(data, "serve"):
        if workers > 1:
            from authz_service.commands.serve_workers import serve_workers

            serve_workers(settings, workers, log_level)
        else:
            uvloop.run(_serve(settings))


async def _serve(settings: ServeSettings) -> None:
    import orjson

    from authz_service.app import running
    from authz_service.keys.crew import Duty
    from authz_service.runtime.gateway import Ending

    endings = {signal.SIGUSR1: Ending.NOBODY, signal.SIGUSR2: Ending.OTHERS}
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def stopped(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    if settings.part.workers > 1:
        numbers.append(signal.SIGUSR2)
    for number in numbers:
        loop.add_signal_handler(number, stopped, number)
    reloads, tasks = Deferred(), set[asyncio.Task[None]]()
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)  # the file may have been read when it comes
    if settings.part.duty is Duty.ANSWER:
        either: set[asyncio.Future[Any]] = {stop, input_ended()}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            return
    async with running(settings) as (service, serving):

        def reload() -> None:
            task = asyncio.create_task(service.reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        reloads.begin(reload)
        if settings.part.workers == 1:
            loop.add_signal_handler(signal.SIGUSR2, _restart_is_not_for_one)
        freeze_what_is_loaded()
        addresses = {"review": serving.review, "metrics": serving.metrics}
        click.echo(orjson.dumps(addresses).decode())
        sys.stdout.flush()
        service.ends(endings.get(await stop, Ending.NEXT))


def _restart_is_not_for_one() -> None:
    import structlog

    note = "one process alone takes a stop and a start; what was started with --workers replaces its own"
    structlog.get_logger().warning("service.restart_kept", note=note)


class _Stderr:
    """Standard error; a full disk costs the line, and nothing of what was being done."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def log_to_stderr(level: str) -> None:
    """One JSON object a line; no log line carries a prompt, an answer or a token."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
