"""Refuses an Envoy file that opens the gate, and says by name and line what would open it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path as File
from typing import Any, Final

from authz_service.proxy.binary import envoy_refusal
from authz_service.proxy.document import line_of, read_document
from authz_service.proxy.faults import Fault, Path, Report
from authz_service.proxy.gate_clusters import check_clusters, empty_clusters, is_abstract
from authz_service.proxy.gate_filters import service_clusters
from authz_service.proxy.gate_listener import check_listeners
from authz_service.proxy.gate_routes import check_paths, check_ways
from authz_service.proxy.schema import check_schema
from authz_service.proxy.shape import anything, each, exactly, fields, get, items

ALWAYS: Final = ("/.well-known/authz",)
"""Paths that the service answers itself, whatever models there are."""

_SINKS: Final = ("envoy.config.metrics.v3.", "envoy.extensions.stat_sinks.open_telemetry.v3.")
_ENDS_HOLDS: Final = (
    "envoy.overload_actions.reduce_timeouts",
    "envoy.overload_actions.reset_high_memory_stream",
)


def validate(
    text: str, *, paths: tuple[str, ...] | None = None, insecure: bool = False, ask_envoy: bool = True
) -> list[Fault]:
    """Every fault of an Envoy file; an empty list means that it may run.

    `paths` are those of the model APIs (all that this program knows, unless given). `insecure` permits
    a listener without TLS beyond loopback. `ask_envoy` has the real Envoy judge a file in which
    nothing else was found; it needs the files that the configuration names.
    """
    document, faults = read_document(text)
    if faults:
        return faults
    faults = check(document, paths=paths, insecure=insecure)
    if not faults and ask_envoy:
        faults = _asked_envoy(text)
    return [dataclasses.replace(fault, line=line_of(document, fault.path)) for fault in faults]


def check(document: Any, *, paths: tuple[str, ...] | None = None, insecure: bool = False) -> list[Fault]:
    """The faults of a file that was read, as `validate` finds them before it asks Envoy."""
    report = Report()
    check_schema(document, report)
    _check_gate(document, report, _adapter_paths() if paths is None else paths, insecure=insecure)
    return list(dict.fromkeys(report))


def _check_gate(document: Any, report: Report, paths: tuple[str, ...], *, insecure: bool) -> None:
    _bootstrap(document, (), report)
    clusters = get(document, "static_resources", "clusters")
    listeners = get(document, "static_resources", "listeners")
    check_listeners(listeners, ("static_resources", "listeners"), report, insecure=insecure)
    managers = _managers(listeners)
    services = {name for manager, _ in managers for name in service_clusters(get(manager, "http_filters"))}
    admin = get(document, "admin", "address")
    check_clusters(clusters, ("static_resources", "clusters"), services, admin, report)
    empty = empty_clusters(clusters)
    for manager, path in managers:
        config, here = get(manager, "route_config"), (*path, "route_config")
        check_ways(config, here, empty, services, report)
        check_paths(config, here, (*paths, *ALWAYS), empty, report)


def _admin(value: Any, path: Path, report: Report) -> None:
    address = fields({"pipe": anything}, {"pipe": ("admin_open", "must be a Unix socket")})
    known = {"address": address, "profile_path": anything, "ignore_global_conn_limit": anything}
    fields(known, {"address": ("admin_open", "must be a Unix socket")})(value, path, report)
    if get(value, "address", "socket_address") is not None:
        message = "the administration interface has no login: put it on a Unix socket, never on TCP"
        report.add("admin_open", (*path, "address"), message)
    socket, mode = get(value, "address", "pipe", "path"), get(value, "address", "pipe", "mode")
    if is_abstract(socket) or (isinstance(mode, int) and mode & 0o077):
        report.add(
            "admin_open", (*path, "address", "pipe"), "must be a file that nobody else can open (0600)"
        )


def _overload(value: Any, path: Path, report: Report) -> None:
    for index, action in enumerate(items(get(value, "actions"))):
        if get(action, "name") in _ENDS_HOLDS:
            report.add("ends_holds", (*path, "actions", index), "would end requests that wait for a reviewer")


def _sink(value: Any, path: Path, report: Report) -> None:
    kind = str(get(value, "@type")).removeprefix("type.googleapis.com/")
    if not kind.startswith(_SINKS):
        report.add("unknown_extension", path, f"{kind} is no statistics sink that is known here")


_bootstrap = fields(
    {
        "node": anything,
        "admin": _admin,
        "overload_manager": _overload,
        "static_resources": fields({"listeners": anything, "clusters": anything}),
        "stats_config": anything,
        "stats_sinks": each(fields({"name": anything, "typed_config": _sink})),
        "stats_flush_interval": anything,
        "application_log_config": anything,
        "use_tcp_for_dns_lookups": exactly(False, "unknown_setting", "is not checked here"),
    },
    {"static_resources": ("no_route", "there is neither a listener nor a cluster")},
)


def _managers(listeners: Any) -> list[tuple[Any, Path]]:
    found: list[tuple[Any, Path]] = []
    for i, listener in enumerate(items(listeners)):
        for c, chain in enumerate(items(get(listener, "filter_chains"))):
            for f, network_filter in enumerate(items(get(chain, "filters"))):
                path = ("static_resources", "listeners", i, "filter_chains", c, "filters", f, "typed_config")
                found.append((get(network_filter, "typed_config"), path))
    return found


def _adapter_paths() -> tuple[str, ...]:
    from authz_service.model_apis.registry import ADAPTERS

    return tuple(sorted({operation.path for api in ADAPTERS for operation in api.operations}))


def _asked_envoy(text: str) -> list[Fault]:
    handle, name = tempfile.mkstemp(suffix=".yaml")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        refusal = envoy_refusal(File(name))
    finally:
        File(name).unlink()
    return [] if refusal is None else [Fault("envoy_refuses", (), f"Envoy does not take it: {refusal}")]
