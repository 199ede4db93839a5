"""Runs what `authz up` runs: the demo model, the service and Envoy, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from authz_service.commands.deferred import Deferred
from authz_service.commands.serve_workers import STOPS_WITHIN, workers_stop_within
from authz_service.commands.up_config import Chosen
from authz_service.config.model import Config
from authz_service.errors import AuthzError, Misconfigured
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.admin import stop_accepting, under_way
from authz_service.proxy.binary import envoy_path
from authz_service.proxy.certificate import write_certificates
from authz_service.proxy.credentials import write_credentials
from authz_service.proxy.files import write_private
from authz_service.proxy.listening import worker_serves
from authz_service.proxy.probes import (
    accepts,
    accepts_unix,
    gateway_answers,
    reachable,
    require_free,
    reserved_port,
)
from authz_service.proxy.render import render
from authz_service.proxy.settings import LONGEST_HOLD, envoy_settings
from authz_service.proxy.supervise import Program, Supervisor
from authz_service.proxy.validate import validate
from authz_service.store.crew import require_possible

LAST_SECONDS = 2.0
"""What Envoy gets to pass on what the service has answered."""


@dataclass(frozen=True, slots=True)
class Running:
    """Addresses of what runs, as up.json has them."""

    gateway: str
    review: str
    metrics: str


def checked_envoy_text(
    config: Config, data: DataDir, template: str, *, access_log: str, insecure: bool, workers: int = 1
) -> str:
    """Envoy's file, filled in; raises `Misconfigured` with every fault of it. Writes the secrets."""
    require_possible(config, data, workers)
    write_credentials(config, data)
    write_certificates(config, data)
    text = render(template, envoy_settings(config, data, access_log=access_log, workers=workers))
    faults = validate(text, insecure=insecure)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise Misconfigured(f"the Envoy file would not keep the gate shut:\n{lines}")
    return text


def write_envoy_config(
    config: Config, data: DataDir, template: str, *, insecure: bool, workers: int = 1
) -> None:
    """Fill in, check and write the file that Envoy is started with."""
    log = data.logs / "access.log"
    data.logs.mkdir(mode=0o700, exist_ok=True)
    log.touch(mode=0o600)  # Envoy opens it to check the file, and would let others read it
    text = checked_envoy_text(config, data, template, access_log=str(log), insecure=insecure, workers=workers)
    write_private(data.envoy_config, text)


def run_until_stopped(
    chosen: Chosen,
    data: DataDir,
    *,
    workers: int = 1,
    drain: float = 5.0,
    reloads: Deferred,
    say: Callable[[str], None],
    when_ready: Callable[[Running], None],
) -> None:
    """Run everything until SIGINT or SIGTERM, with up.json in place meanwhile; SIGHUP reloads, and
    SIGUSR2 restarts the workers one after the other. `reloads` has been asked by a SIGHUP before.

    Raises `Misconfigured` when a port is taken or a program does not start. Nothing runs afterwards.
    """
    listen = chosen.config.listen
    require_free(listen.host, listen.port)
    if chosen.demo_port is not None:
        require_free("127.0.0.1", chosen.demo_port)
    scheme, authority = "https" if listen.tls else "http", _authority(reachable(listen.host), listen.port)
    with reserved_port() as metrics:
        running = Running(
            gateway=f"{scheme}://{authority}",
            review=f"unix:{data.review_socket}",
            metrics=f"http://127.0.0.1:{metrics}/metrics",
        )
        supervisor = Supervisor(programs(chosen, data, metrics=metrics, workers=workers, drain=drain), say)

        def ready() -> None:
            addresses = {"gateway": running.gateway, "review": running.review, "metrics": running.metrics}
            write_private(data.up, json.dumps(addresses | {"pid": os.getpid()}, indent=2) + "\n")
            when_ready(running)

        try:
            asyncio.run(_supervised(supervisor, chosen, data, ready, reloads, say, workers, drain))
        finally:
            data.up.unlink(missing_ok=True)


def programs(
    chosen: Chosen, data: DataDir, *, metrics: int, workers: int = 1, drain: float = 5.0
) -> tuple[Program, ...]:
    """What runs, in the order in which it starts."""
    python = (sys.executable, "-m")
    serve = ("authz_cli.main", "serve", "--config", str(chosen.path), "--data-dir", str(data.root))
    several = () if workers == 1 else ("--workers", str(workers))
    service = Program(
        name="service",
        command=(*python, *serve, "--metrics", str(metrics), "--drain", str(drain), *several),
        log=data.logs / "service.log",
        is_ready=lambda: serves(chosen.config, data, workers) and accepts_unix(data.review_socket),
        stops_within=STOPS_WITHIN + drain if workers == 1 else workers_stop_within(drain),
    )
    both = (service, _envoy(chosen.config, data))
    port = chosen.demo_port
    if port is None:
        return both
    demo = Program(
        name="demo model",
        command=(*python, "authz_service.commands.demo_model", "--port", str(port)),
        log=data.logs / "demo-model.log",
        is_ready=lambda: accepts("127.0.0.1", port),
    )
    return (demo, *both)


def serves(config: Config, data: DataDir, workers: int) -> bool:
    """Whether all workers of the service listen to Envoy."""
    parts = [Part(workers, worker) for worker in range(workers)]
    return all(worker_serves(config.link, data, part) for part in parts)


def _envoy(config: Config, data: DataDir) -> Program:
    host, port, tls = reachable(config.listen.host), config.listen.port, config.listen.tls is not None
    drain = str(int(LONGEST_HOLD))
    options = ("--disable-hot-restart", "--drain-time-s", drain, "--log-level", "warning")
    return Program(
        name="Envoy",
        command=(str(envoy_path()), "-c", str(data.envoy_config), *options),
        log=data.logs / "envoy.log",
        is_ready=lambda: gateway_answers(host, port, tls=tls),
    )


async def _supervised(
    supervisor: Supervisor,
    chosen: Chosen,
    data: DataDir,
    ready: Callable[[], None],
    reloads: Deferred,
    say: Callable[[str], None],
    workers: int,
    drain: float,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def stopped() -> None:
        if stop.is_set():
            supervisor.kill_all()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    loop.add_signal_handler(signal.SIGHUP, reloads.ask)  # the file may have been read when it comes

    def reload() -> None:
        for what, write in (("models' credential", write_credentials), ("certificate", write_certificates)):
            try:
                write(chosen.config, data)
            except AuthzError as error:
                say(f"the {what} stays as it was: {error}")
        supervisor.signal("service", signal.SIGHUP)
        say(f"reloading {chosen.path}; the service's log says how it went")

    def restart() -> None:
        if workers == 1:
            say("one process cannot be replaced without a pause: stop this and start it, or use --workers")
            return
        supervisor.signal("service", signal.SIGUSR2)
        say("restarting the service's processes one after the other; the service's log says how it went")

    def when_ready() -> None:
        reloads.begin(reload)
        loop.add_signal_handler(signal.SIGUSR2, restart)
        ready()

    await supervisor.run(stop, when_ready, lambda: _farewell(supervisor, data.admin_socket, drain, say))


async def _farewell(supervisor: Supervisor, admin: Path, drain: float, say: Callable[[str], None]) -> None:
    """Envoy takes nothing new, the service ends what is under way, and Envoy passes the last of it on."""
    if await asyncio.to_thread(stop_accepting, admin):
        left = await asyncio.to_thread(under_way, admin)
        if left:
            say(f"{left} under way; answers get {drain:g} s to end (once more to end them now)")
    await supervisor.stop("service", signal.SIGUSR1)
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            while await asyncio.to_thread(under_way, admin):  # noqa: ASYNC110 - Envoy tells nobody by itself
                await asyncio.sleep(0.05)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown(path: Path) -> Path:
    """A path as it is shortest to read: below this directory, without it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
