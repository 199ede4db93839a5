"""Starts the cases that stand behind Envoy: Envoy alone, with a service that does nothing, with this one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.case import Gateway, Site
from bench.configuration import HOLDS, LONGEST, authz_yaml, without_gate
from bench.postgres import database
from bench.processes import parts_of, program

from authz_service.cel.load import load_config
from authz_service.config.model import Config
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.keys.crew import service_sockets
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.binary import envoy_path
from authz_service.proxy.probes import accepts_unix, free_port, gateway_answers
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings
from authz_service.proxy.template import template_text

_SQLITE = "sqlite:///authz.db"


@contextmanager
def direct(site: Site) -> Iterator[Gateway]:
    """Envoy with its filters off."""
    data = DataDir.open(site.folder)
    config = _configure(site, data, store=_SQLITE)
    with ExitStack() as stack:
        pids = {"model": site.model_pid, "envoy": start_envoy(config, data, stack, is_gated=False)}
        yield Gateway(config.listen.port, token_of(data), pids)


@contextmanager
def floor(site: Site) -> Iterator[Gateway]:
    """Envoy with the service that does nothing."""
    with ExitStack() as stack:
        data = DataDir.open(site.folder)
        config = _configure(site, data, store=_SQLITE)
        yield _behind_envoy(site, data, stack, ("-m", "bench.noop", str(data.service_socket)), config)


@contextmanager
def on_sqlite(site: Site, *, options: Sequence[str] = (), is_masked: bool = True) -> Iterator[Gateway]:
    """Envoy with this service, and `options` of `authz serve`."""
    with ExitStack() as stack:
        yield _ours(site, stack, store=_SQLITE, options=options, is_masked=is_masked)


@contextmanager
def on_postgresql(site: Site, *, options: Sequence[str] = (), workers: int = 1) -> Iterator[Gateway]:
    """The same on a PostgreSQL of its own, which counts as a program."""
    with ExitStack() as stack:
        store = stack.enter_context(database())
        keys = store.keys if workers > 1 else ""
        gateway = _ours(site, stack, store=store.url, options=options, workers=workers, keys=keys)
        yield replace(gateway, pids={**gateway.pids, "database": store.pid})


@contextmanager
def holding(site: Site, *, holds: str, workers: int = 0) -> Iterator[Gateway]:
    """Envoy with this service on SQLite, or with `workers` of it on a PostgreSQL of its own.

    `holds` is that section of the configuration.
    """
    with ExitStack() as stack:
        if not workers:
            yield _ours(site, stack, store=_SQLITE, options=(), holds=holds)
            return
        store = stack.enter_context(database())
        keys = store.keys if workers > 1 else ""
        yield _ours(site, stack, store=store.url, options=(), workers=workers, keys=keys, holds=holds)


@contextmanager
def watched(site: Site, *, late: Path) -> Iterator[Gateway]:
    """Envoy with this service on SQLite, whose event loop is watched; see `bench.watched`."""
    with ExitStack() as stack:
        yield _ours(
            site, stack, store=_SQLITE, options=(), module=("bench.watched", str(late)), longest=1 << 40
        )


def _ours(
    site: Site,
    stack: ExitStack,
    *,
    store: str,
    options: Sequence[str],
    workers: int = 1,
    keys: str = "",
    is_masked: bool = True,
    holds: str = HOLDS,
    module: Sequence[str] = ("authz_cli.main",),
    longest: int = LONGEST,
) -> Gateway:
    data = DataDir.open(site.folder)
    file = data.root / "authz.yaml"
    command = ("-m", *module, "serve", "--config", str(file), "--data-dir", str(data.root), *options)
    command += ("--workers", str(workers))
    config = _configure(site, data, store=store, keys=keys, is_masked=is_masked, holds=holds, longest=longest)
    return _behind_envoy(site, data, stack, command, config, workers=workers)


def _behind_envoy(
    site: Site,
    data: DataDir,
    stack: ExitStack,
    command: Sequence[str],
    config: Config,
    *,
    workers: int = 1,
) -> Gateway:
    service = program(
        (sys.executable, *command),
        log=data.root / "service.log",
        is_ready=lambda: all(accepts_unix(socket) for socket in service_sockets(data, workers)),
    )
    pids = {"model": site.model_pid, "service": stack.enter_context(service).pid}
    pids["envoy"] = start_envoy(config, data, stack, is_gated=True, workers=workers)
    return Gateway(config.listen.port, token_of(data), pids, parts_of(pids["service"]))


def _configure(
    site: Site,
    data: DataDir,
    *,
    store: str,
    keys: str = "",
    is_masked: bool = True,
    holds: str = HOLDS,
    longest: int = LONGEST,
) -> Config:
    file = data.root / "authz.yaml"
    text = authz_yaml(
        port=free_port(),
        model_port=site.model_port,
        store=store,
        keys=keys,
        is_masked=is_masked,
        holds=holds,
        longest=longest,
    )
    file.write_text(text)
    return load_config(file).config


def start_envoy(config: Config, data: DataDir, stack: ExitStack, *, is_gated: bool, workers: int = 1) -> int:
    """Run Envoy for this configuration until `stack` ends, and with it the gate's filters; its process id."""
    settings = envoy_settings(config, data, access_log=str(data.root / "access.log"), workers=workers)
    text = render(template_text(), settings)
    data.envoy_config.write_text(text if is_gated else without_gate(text))
    options = ("--disable-hot-restart", "--log-level", "warning")
    port = config.listen.port
    running = program(
        (str(envoy_path()), "-c", str(data.envoy_config), *options),
        log=data.root / "envoy.log",
        is_ready=lambda: gateway_answers("127.0.0.1", port, tls=False),
    )
    return stack.enter_context(running).pid


def token_of(data: DataDir) -> str:
    """A token of somebody whose requests are allowed."""
    issuer = EmbeddedIssuer.load(data.issuer_key)
    return issuer.sign("bench", ["staff"], audience=GATEWAY_AUDIENCE, ttl=3600, now=time.time())
