"""Brings up what is measured, each case with an Envoy of its own, and all of them at the same time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.configuration import authz_yaml, without_gate
from bench.plan import Case
from bench.postgres import database
from bench.processes import program

from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.binary import envoy_path
from authz_service.proxy.probes import accepts, accepts_unix, free_port, gateway_answers
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings
from authz_service.proxy.template import template_text


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running case: where it listens, a token that it takes, and its programs' process ids by name."""

    port: int
    token: str
    pids: Mapping[str, int]


@contextmanager
def gateways(cases: tuple[Case, ...], folder: Path) -> Iterator[Mapping[Case, Gateway]]:
    """Everything runs within the context: one model server, and each case in a folder of its own."""
    with ExitStack() as stack:
        model_port = free_port()
        command = (sys.executable, "-m", "bench.model", str(model_port))
        log = folder / "model.log"
        ready = lambda: accepts("127.0.0.1", model_port)  # noqa: E731 - a name for an argument
        model = stack.enter_context(program(command, log=log, is_ready=ready))
        yield {case: _start(case, folder, model_port, model.pid, stack) for case in cases}


def _start(case: Case, folder: Path, model_port: int, model_pid: int, stack: ExitStack) -> Gateway:
    data = DataDir.open(folder / case)
    store = "sqlite:///authz.db"
    if case is Case.POSTGRESQL:
        store = stack.enter_context(database())
    file = data.root / "authz.yaml"
    file.write_text(authz_yaml(port=free_port(), model_port=model_port, store=store))
    config = load_config(file).config
    pids = {"model": model_pid}
    if case.is_ours:
        command = ("-m", "authz_cli.main", "serve", "--config", str(file), "--data-dir", str(data.root))
        pids["service"] = _start_service(command, data, stack)
    elif case is Case.FLOOR:
        pids["service"] = _start_service(("-m", "bench.noop", str(data.service_socket)), data, stack)
    pids["envoy"] = _start_envoy(case, config, data, stack)
    return Gateway(config.listen.port, _token(data), pids)


def _start_service(command: tuple[str, ...], data: DataDir, stack: ExitStack) -> int:
    running = program(
        (sys.executable, *command),
        log=data.root / "service.log",
        is_ready=lambda: accepts_unix(data.service_socket),
    )
    return stack.enter_context(running).pid


def _start_envoy(case: Case, config: Config, data: DataDir, stack: ExitStack) -> int:
    settings = envoy_settings(config, data, access_log=str(data.root / "access.log"))
    text = render(template_text(), settings)
    data.envoy_config.write_text(without_gate(text) if case is Case.DIRECT else text)
    options = ("--disable-hot-restart", "--log-level", "warning")
    port = config.listen.port
    running = program(
        (str(envoy_path()), "-c", str(data.envoy_config), *options),
        log=data.root / "envoy.log",
        is_ready=lambda: gateway_answers("127.0.0.1", port, tls=False),
    )
    return stack.enter_context(running).pid


def _token(data: DataDir) -> str:
    issuer = EmbeddedIssuer.load(data.issuer_key)
    return issuer.sign("bench", ["staff"], audience=GATEWAY_AUDIENCE, ttl=3600, now=time.time())
