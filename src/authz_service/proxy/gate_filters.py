"""The three filters that are the gate, and the router behind them, as an Envoy file must have them."""

from __future__ import annotations

from typing import Any, Final

from authz_service.framing.headers import SECRET_HEADERS
from authz_service.proxy.faults import Path, Report
from authz_service.proxy.gate_routes import PROTECTED
from authz_service.proxy.shape import Shape, anything, each, exactly, fields, get, items

HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http."
EXT_AUTHZ: Final = f"{HTTP}ext_authz.v3.ExtAuthz"
EXT_PROC: Final = f"{HTTP}ext_proc.v3.ExternalProcessor"
RBAC: Final = f"{HTTP}rbac.v3.RBAC"
ROUTER: Final = f"{HTTP}router.v3.Router"
ORDER: Final = (EXT_AUTHZ, EXT_PROC, RBAC, ROUTER)
_NAMES: Final = {EXT_AUTHZ: "ext_authz", EXT_PROC: "ext_proc", RBAC: "rbac", ROUTER: "router"}

_PROTECTED: Final = f"^({PROTECTED.pattern})$"

_closed = exactly(False, "fails_open", "must be false: when the service is away, requests stop")
_on_error = exactly(
    {"code": "ServiceUnavailable"}, "fails_open", "must be {code: ServiceUnavailable}: a stop that says so"
)
_clear = ("fails_open", "without it a failure looks like a refusal")


def _milliseconds(value: Any, path: Path, report: Report) -> None:
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        report.add("plain_service", path, "must be a number of milliseconds, as text")


_grpc_service = fields(
    {
        "envoy_grpc": fields({"cluster_name": anything, "max_receive_message_length": anything}),
        "timeout": anything,
        "retry_policy": anything,
        "initial_metadata": each(
            fields(
                {
                    "key": exactly(
                        "x-envoy-upstream-rq-per-try-timeout-ms",
                        "plain_service",
                        "must be x-envoy-upstream-rq-per-try-timeout-ms: the service is told nothing else",
                    ),
                    "value": _milliseconds,
                }
            )
        ),
    },
    {"envoy_grpc": ("plain_service", "the service is asked through a cluster of this file")},
)

_ext_authz = fields(
    {
        "@type": anything,
        "transport_api_version": exactly("V3", "wrong_type", "must be V3"),
        "stat_prefix": anything,
        "failure_mode_allow": _closed,
        "status_on_error": _on_error,
        "validate_mutations": exactly(True, "mutation_rules", "must be true"),
        "encode_raw_headers": exactly(True, "headers_hidden", "must be true: duplicates must be seen"),
        "clear_route_cache": exactly(False, "route_cache", "must be false: ext_authz chooses no route"),
        "include_peer_certificate": anything,
        "include_tls_session": anything,
        "decoder_header_mutation_rules": exactly(
            {"disallow_all": True, "disallow_is_error": True}, "mutation_rules", "Check may change no header"
        ),
        "grpc_service": _grpc_service,
    },
    {
        "grpc_service": ("plain_service", "nobody would be asked"),
        "status_on_error": _clear,
        "validate_mutations": ("mutation_rules", "a header that is none could split the request"),
        "encode_raw_headers": ("headers_hidden", "duplicates must be seen"),
        "decoder_header_mutation_rules": ("mutation_rules", "Check may change no header"),
    },
)

_MODES: Final = {
    "request_header_mode": "SEND",
    "request_body_mode": "FULL_DUPLEX_STREAMED",
    "request_trailer_mode": "SEND",
    "response_header_mode": "SEND",
    "response_body_mode": "FULL_DUPLEX_STREAMED",
    "response_trailer_mode": "SEND",
}
_processing_mode = fields(
    {
        name: exactly(value, "processing_mode", f"must be {value}: else a part crosses unread")
        for name, value in _MODES.items()
    },
    {name: ("processing_mode", f"must be {value}") for name, value in _MODES.items()},
)


def _forward_rules(value: Any, path: Path, report: Report) -> None:
    fields({"disallowed_headers": fields({"patterns": each(fields({"exact": anything}))})})(
        value, path, report
    )
    hidden = {get(p, "exact") for p in items(get(value, "disallowed_headers", "patterns"))}
    for name in sorted(SECRET_HEADERS - hidden):
        report.add("credential_crosses", path, f"{name} may hold a credential and would be shown to ext_proc")
    for name in sorted(str(name) for name in hidden - SECRET_HEADERS):
        report.add(
            "headers_hidden", path, f"{name} would be hidden from the service, which cannot remove it then"
        )


_ext_proc = fields(
    {
        "@type": anything,
        "stat_prefix": anything,
        "failure_mode_allow": _closed,
        "status_on_error": _on_error,
        "processing_mode": _processing_mode,
        "allow_mode_override": exactly(False, "mode_override", "must be false: the modes hold for all"),
        "allow_content_length_header": exactly(
            False, "smuggling", "must be false: a length that no longer fits smuggles requests"
        ),
        "disable_immediate_response": exactly(False, "fails_open", "must be false: it turns refusals off"),
        "message_timeout": anything,
        "deferred_close_timeout": anything,
        "route_cache_action": exactly(
            "DEFAULT", "route_cache", "must be DEFAULT: the route is chosen anew when the service has decided"
        ),
        "mutation_rules": exactly(
            {"disallow_is_error": True, "disallow_expression": {"regex": _PROTECTED}},
            "mutation_rules",
            "must be as in envoy/envoy.yaml: what frames and routes messages stays Envoy's",
        ),
        "forward_rules": _forward_rules,
        "request_attributes": anything,
        "response_attributes": anything,
        "metadata_options": exactly(
            {
                "forwarding_namespaces": {"untyped": ["envoy.filters.http.ext_authz"]},
                "receiving_namespaces": {"untyped": ["authz"]},
            },
            "metadata",
            "must hand on the seal of ext_authz and the decision, and nothing else",
        ),
        "grpc_service": _grpc_service,
    },
    {
        "grpc_service": ("plain_service", "nobody would be asked"),
        "status_on_error": _clear,
        "processing_mode": ("processing_mode", "bodies would not be read"),
        "mutation_rules": ("mutation_rules", "what frames and routes messages stays Envoy's"),
        "forward_rules": ("credential_crosses", "credentials would be shown to ext_proc"),
        "metadata_options": ("metadata", "the seal and the decision would be lost"),
    },
)

_LOCK: Final = {
    "action": "ALLOW",
    "policies": {
        "decided": {
            "permissions": [{"any": True}],
            "principals": [
                {
                    "sourced_metadata": {
                        "metadata_source": "DYNAMIC",
                        "metadata_matcher": {
                            "filter": "authz",
                            "path": [{"key": "decision"}],
                            "value": {"string_match": {"exact": "allow"}},
                        },
                    }
                }
            ],
        }
    },
}
_lock = exactly(_LOCK, "rbac_loosened", "must let through the decision allow and nothing else")
_rbac = fields(
    {"@type": anything, "rules": _lock}, {"rules": ("rbac_loosened", "without rules everything passes")}
)
_router = fields({"@type": anything, "suppress_envoy_headers": anything})

_SHAPES: Final[dict[str, Shape]] = {EXT_AUTHZ: _ext_authz, EXT_PROC: _ext_proc, RBAC: _rbac, ROUTER: _router}


def check_filters(value: Any, path: Path, report: Report) -> None:
    """`http_filters` must be ext_authz, ext_proc, rbac and router, in this order, and nothing else."""
    kinds = [get(entry, "typed_config", "@type") for entry in items(value)]
    for kind in ORDER:
        if kind not in kinds:
            report.add(f"{_NAMES[kind]}_missing", path, f"the filter {_NAMES[kind]} is missing")
        elif kinds.count(kind) > 1:
            report.add("filter_repeated", path, f"the filter {_NAMES[kind]} stands here more than once")
    present = [kind for kind in kinds if kind in _SHAPES]
    if present != sorted(present, key=ORDER.index):
        report.add("filter_order", path, "the order must be ext_authz, ext_proc, rbac, router")
    for index, entry in enumerate(items(value)):
        here = (*path, index)
        shape = _SHAPES.get(kinds[index])
        if shape is None:
            report.add(
                "unknown_filter", here, "a filter that is not checked here may change what was decided"
            )
        else:
            fields({"name": anything, "typed_config": shape})(entry, here, report)


def service_clusters(value: Any) -> set[str]:
    """The clusters that ext_authz and ext_proc ask."""
    names = (get(f, "typed_config", "grpc_service", "envoy_grpc", "cluster_name") for f in items(value))
    return {name for name in names if isinstance(name, str)}
