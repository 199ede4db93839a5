"""A small language for what a part of an Envoy file may look like: what is not named in it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from authz_service.proxy.faults import Path, Report

Shape = Callable[[Any, Path, Report], None]

DANGERS: Mapping[str, tuple[str, str]] = {
    "typed_per_filter_config": ("filter_overridden", "changes or switches off a filter for some requests"),
    "disabled": ("filter_disabled", "switches off a filter"),
    "is_optional": ("filter_disabled", "lets Envoy run without a filter that it doesn't have"),
    "filter_enabled": ("filter_disabled", "lets a share of the requests pass unseen"),
    "filter_enabled_metadata": ("filter_disabled", "lets some requests pass unseen"),
    "shadow_mode": ("fails_open", "asks, and lets everything pass"),
    "shadow_rules": ("fails_open", "only counts what it would refuse"),
    "observability_mode": ("fails_open", "shows traffic to the service without waiting for its answer"),
    "failure_mode_allow_header_add": ("fails_open", "belongs to failing open"),
    "with_request_body": ("partial_body", "shows ext_authz a part of the body; ext_proc reads all of it"),
    "allowed_override_modes": ("mode_override", "lets the modes change during a request"),
    "http_service": ("plain_service", "asks over plain HTTP"),
    "google_grpc": ("plain_service", "goes past the cluster whose transport is checked here"),
    "allowed_headers": ("headers_hidden", "hides headers from the service, which then cannot remove them"),
    "cluster_header": ("client_chooses_cluster", "lets a header choose the cluster"),
    "weighted_clusters": ("indirect_cluster", "chooses among clusters behind the decision"),
    "cluster_specifier_plugin": ("indirect_cluster", "chooses the cluster in code"),
    "inline_cluster_specifier_plugin": ("indirect_cluster", "chooses the cluster in code"),
    "cluster_specifier_plugins": ("indirect_cluster", "chooses the cluster in code"),
    "request_mirror_policies": ("mirrored", "sends a copy of the request elsewhere"),
    "retry_policy": ("retried", "runs an approved request more than once"),
    "retry_policy_typed_config": ("retried", "runs an approved request more than once"),
    "hedge_policy": ("retried", "runs an approved request more than once"),
    "internal_redirect_policy": ("redirected", "follows redirects of the model's behind the decision"),
    "internal_redirect_action": ("redirected", "follows redirects of the model's behind the decision"),
    "max_internal_redirects": ("redirected", "follows redirects of the model's behind the decision"),
    "direct_response": ("direct_response", "answers past the record, and ends held requests"),
    "redirect": ("direct_response", "answers past the record, and ends held requests"),
    "filter_action": ("direct_response", "leaves the answer to a filter"),
    "non_forwarding_action": ("direct_response", "has no server behind it"),
    "upgrade_configs": ("upgrade", "opens WebSockets or tunnels, which nothing reads"),
    "allow_connect": ("upgrade", "opens tunnels, which nothing reads"),
    "allow_all_routing": ("mutation_rules", "lets the service change host, scheme and method"),
    "allow_envoy": ("mutation_rules", "lets the service set x-envoy-... headers, retries among them"),
    "allow_expression": ("mutation_rules", "overrides what the service may not touch"),
    "rds": ("dynamic", "takes routes from elsewhere, unchecked"),
    "scoped_routes": ("dynamic", "takes routes from elsewhere, unchecked"),
    "vhds": ("dynamic", "takes routes from elsewhere, unchecked"),
    "dynamic_resources": ("dynamic", "takes listeners or clusters from elsewhere, unchecked"),
    "layered_runtime": ("dynamic", "can switch off features at run time"),
    "config_discovery": ("dynamic", "takes a filter from elsewhere, unchecked"),
    "fcds_config": ("dynamic", "takes filter chains from elsewhere, unchecked"),
    "eds_cluster_config": ("dynamic", "takes endpoints from elsewhere, unchecked"),
    "cluster_type": ("dynamic", "takes endpoints from elsewhere, unchecked"),
    "default_filter_chain": ("other_way_in", "is a second way in; write it as one of filter_chains"),
    "additional_addresses": ("other_way_in", "is a second way in; write a listener of its own"),
    "max_stream_duration": ("ends_holds", "ends held requests"),
    "max_connection_duration": ("ends_holds", "ends held requests"),
    "http_protocol_options": ("smuggling", "changes how HTTP/1 is read; both sides must read it the same"),
    "bootstrap_extensions": ("unknown_extension", "runs code that is not checked here"),
    "key_log": ("tls_keys_logged", "writes down the keys with which the traffic can be read"),
    "header_prefix": ("mutation_rules", "renames the headers that mutation rules protect"),
}
"""Fields that open the gate wherever they stand, and what each does."""


def anything(_value: Any, _path: Path, _report: Report) -> None:
    """A value that may be tuned."""


def exactly(expected: Any, code: str, message: str) -> Shape:
    """One value and no other; True and 1 are not the same."""

    def check(value: Any, path: Path, report: Report) -> None:
        if not _same(value, expected):
            report.add(code, path, message)

    return check


def one_of(values: Iterable[Any], code: str, message: str) -> Shape:
    """Any of these values."""
    allowed = tuple(values)

    def check(value: Any, path: Path, report: Report) -> None:
        if not any(_same(value, candidate) for candidate in allowed):
            report.add(code, path, message)

    return check


def each(shape: Shape) -> Shape:
    """A list, each item of which has this shape."""

    def check(value: Any, path: Path, report: Report) -> None:
        if isinstance(value, Sequence) and not isinstance(value, str):
            for index, item in enumerate(value):
                shape(item, (*path, index), report)

    return check


def fields(known: Mapping[str, Shape], required: Mapping[str, tuple[str, str]] | None = None) -> Shape:
    """A mapping with these fields only; `required` gives the code and message for one that is missing."""

    def check(value: Any, path: Path, report: Report) -> None:
        if not isinstance(value, Mapping):
            report.add("wrong_type", path, "expected a mapping")
            return
        for name, item in value.items():
            if name in known:
                known[name](item, (*path, name), report)
            else:
                code, message = DANGERS.get(
                    name, ("unknown_setting", "is none of the settings that can be answered for here")
                )
                report.add(code, (*path, name), f"{name} {message}")
        for name, (code, message) in (required or {}).items():
            if name not in value:
                report.add(code, path, f"{name} is missing: {message}")

    return check


def get(document: Any, *path: str | int) -> Any:
    """The value at a path, or None where there is none."""
    for part in path:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, Sequence) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return None
    return document


def items(value: Any) -> Sequence[Any]:
    """A list's items; none for what is no list (which the schema reports)."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _same(value: Any, expected: Any) -> bool:
    if isinstance(expected, Mapping):
        return (
            isinstance(value, Mapping)
            and value.keys() == expected.keys()
            and all(_same(value[key], item) for key, item in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and len(value) == len(expected)
            and all(_same(a, b) for a, b in zip(value, expected, strict=True))
        )
    return isinstance(value, bool) == isinstance(expected, bool) and bool(value == expected)
