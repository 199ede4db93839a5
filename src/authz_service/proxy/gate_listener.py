"""Ways in: what a listener and its connection manager may look like in an Envoy file."""

from __future__ import annotations

import re
from typing import Any, Final

from authz_service.framing.headers import ANSWER_ALLOWED, GATEWAY_PREFIX, SESSION_HEADER
from authz_service.proxy.faults import Path, Report
from authz_service.proxy.gate_filters import check_filters
from authz_service.proxy.gate_routes import check_routes
from authz_service.proxy.settings import is_loopback
from authz_service.proxy.shape import anything, each, exactly, fields, get, items, one_of

_MANAGER: Final = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_EARLY: Final = (
    "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
)
_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_INSPECTOR: Final = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_LOGS: Final = "type.googleapis.com/envoy.extensions.access_loggers."

_STRIPPED: Final = (GATEWAY_PREFIX, "x-envoy-")
_OPERATOR: Final = re.compile(r"%([A-Z_0-9]+)(?:\(([^)]*)\))?(?::\d+)?%")
_LOGGED: Final = {
    "REQ": frozenset({":method", ":authority", ":scheme", "x-request-id", "content-type"}),
    "RESP": ANSWER_ALLOWED | {SESSION_HEADER},
    "DYNAMIC_METADATA": frozenset({"authz:decision"}),
}
_UNLOGGED: Final = frozenset({"LOCAL_REPLY_BODY", "QUERY_PARAMS", "QUERY_PARAM", "PATH"})


def _early_mutation(value: Any, path: Path, report: Report) -> None:
    prefixes = set()
    for index, extension in enumerate(items(value)):
        here = (*path, index, "typed_config")
        config = get(extension, "typed_config")
        if get(config, "@type") != _EARLY:
            report.add("early_mutation", here, "only headers may be removed here")
            continue
        fields({"@type": anything, "mutations": each(_removal)})(config, here, report)
        for mutation in items(get(config, "mutations")):
            prefixes.add(get(mutation, "remove_on_match", "key_matcher", "prefix"))
    for prefix in _STRIPPED:
        if prefix not in prefixes:
            message = f"headers that begin with {prefix} must be removed before a route is chosen"
            report.add("early_mutation", path, message)


_matcher = fields({"prefix": anything, "exact": anything})
_removal = fields(
    {
        "remove": anything,
        "remove_on_match": fields({"key_matcher": _matcher}),
        "append": lambda _value, path, report: report.add("early_mutation", path, "only removals stand here"),
    }
)


def _log_format(value: Any, path: Path, report: Report) -> None:
    """Only operators that cannot carry a credential, a query or a text of the caller's."""
    if isinstance(value, str):
        for name, argument in _OPERATOR.findall(value):
            allowed = _LOGGED.get(name)
            refused = argument.lower() not in allowed if allowed is not None else name in _UNLOGGED
            if refused or (allowed is None and argument and name not in ("START_TIME", "COMMON_DURATION")):
                report.add("log_has_secrets", path, f"%{name}({argument})% may carry a secret into the log")
        if "%" in _OPERATOR.sub("", value):
            report.add("log_has_secrets", path, "a % that is no operator that is known here")
    elif hasattr(value, "items"):
        for key, item in value.items():
            _log_format(item, (*path, key), report)


_format = fields({"json_format": _log_format, "omit_empty_values": anything})
_reply_format = fields({"json_format": _log_format, "content_type": anything})
_mapper = fields({"filter": anything, "body_format_override": _reply_format})
_local_reply = fields({"mappers": each(_mapper), "body_format": _reply_format})
_log_config = fields(
    {
        "@type": one_of(
            [f"{_LOGS}file.v3.FileAccessLog", f"{_LOGS}stream.v3.StdoutAccessLog"],
            "log_has_secrets",
            "logs go to a file or standard output",
        ),
        "path": anything,
        "log_format": _format,
    },
    {"log_format": ("log_has_secrets", "Envoy's own format logs the query")},
)
_access_log = each(fields({"name": anything, "filter": anything, "typed_config": _log_config}))

_stops_underscores = exactly("REJECT_REQUEST", "normalisation", "must be REJECT_REQUEST")
_normalised = exactly(True, "normalisation", "must be true: rules and routes must see the same path")

_manager = fields(
    {
        "@type": exactly(_MANAGER, "other_way_in", "only an HTTP connection manager is checked here"),
        "stat_prefix": anything,
        "codec_type": one_of(["AUTO", "HTTP1", "HTTP2"], "unknown_setting", "must be AUTO, HTTP1 or HTTP2"),
        "normalize_path": _normalised,
        "merge_slashes": _normalised,
        "path_with_escaped_slashes_action": exactly(
            "REJECT_REQUEST", "normalisation", "must be REJECT_REQUEST: such a path has two readings"
        ),
        "strip_any_host_port": anything,
        "common_http_protocol_options": fields(
            {
                "idle_timeout": anything,
                "max_headers_count": anything,
                "headers_with_underscores_action": _stops_underscores,
            },
            {"headers_with_underscores_action": ("normalisation", "must be REJECT_REQUEST")},
        ),
        "http2_protocol_options": fields(
            {
                "max_concurrent_streams": anything,
                "initial_stream_window_size": anything,
                "initial_connection_window_size": anything,
                "connection_keepalive": anything,
            }
        ),
        "use_remote_address": anything,
        "xff_num_trusted_hops": anything,
        "skip_xff_append": anything,
        "internal_address_config": exactly(
            {"unix_sockets": False}, "internal_callers", "must be {unix_sockets: false}: nobody is internal"
        ),
        "early_header_mutation_extensions": _early_mutation,
        "max_request_headers_kb": anything,
        "request_headers_timeout": anything,
        "request_timeout": anything,
        "stream_idle_timeout": anything,
        "stream_flush_timeout": anything,
        "drain_timeout": anything,
        "delayed_close_timeout": anything,
        "generate_request_id": anything,
        "always_set_request_id_in_response": anything,
        "upgrade_configs": exactly([], "upgrade", "must be empty: nothing reads WebSockets or tunnels"),
        "server_header_transformation": anything,
        "local_reply_config": _local_reply,
        "access_log": _access_log,
        "route_config": check_routes,
        "http_filters": check_filters,
    },
    {
        "early_header_mutation_extensions": ("early_mutation", "clients could choose a model past the rules"),
        "internal_address_config": ("internal_callers", "nobody may count as internal"),
        "common_http_protocol_options": ("normalisation", "headers with underscores must be rejected"),
        "normalize_path": ("normalisation", "rules and routes must see the same path"),
        "merge_slashes": ("normalisation", "rules and routes must see the same path"),
        "path_with_escaped_slashes_action": ("normalisation", "must be REJECT_REQUEST"),
        "route_config": ("no_route", "there is no route"),
        "http_filters": ("ext_authz_missing", "there is no gate"),
    },
)


def _network_filters(value: Any, path: Path, report: Report) -> None:
    if len(items(value)) != 1:
        report.add("other_way_in", path, "a filter chain has one filter: the HTTP connection manager")
    each(fields({"name": anything, "typed_config": _manager}))(value, path, report)


_clients = fields(
    {
        "trusted_ca": anything,
        "crl": anything,
        "only_verify_leaf_cert_crl": anything,
        "max_verify_depth": anything,
        "match_typed_subject_alt_names": anything,
    },
    {"trusted_ca": ("unverified_tls", "a client could show a certificate of any name that it made itself")},
)
_common_tls = fields(
    {
        "tls_params": anything,
        "tls_certificates": anything,
        "tls_certificate_sds_secret_configs": anything,
        "validation_context": _clients,
        "alpn_protocols": anything,
    }
)
_tls = fields(
    {
        "name": anything,
        "typed_config": fields(
            {
                "@type": exactly(_TLS, "plain_listener", "only TLS is checked here"),
                "common_tls_context": _common_tls,
                "require_client_certificate": anything,
            },
            {"common_tls_context": ("plain_listener", "there is no certificate")},
        ),
    },
    {"typed_config": ("plain_listener", "a name alone says nothing")},
)
_inspector = fields({"@type": exactly(_INSPECTOR, "other_way_in", "only the TLS inspector is known here")})
_chain = fields(
    {
        "name": anything,
        "filter_chain_match": anything,
        "transport_socket": _tls,
        "transport_socket_connect_timeout": anything,
        "filters": _network_filters,
    },
    {"filters": ("other_way_in", "there is no gate")},
)
_address = fields({"socket_address": fields({"address": anything, "port_value": anything}), "pipe": anything})
_listener = fields(
    {
        "name": anything,
        "stat_prefix": anything,
        "address": _address,
        "per_connection_buffer_limit_bytes": anything,
        "per_connection_buffer_high_watermark_timeout": anything,
        "tcp_backlog_size": anything,
        "socket_options": anything,
        "listener_filters": each(
            fields(
                {"name": anything, "typed_config": _inspector},
                {"typed_config": ("other_way_in", "only the TLS inspector is known here")},
            )
        ),
        "connection_balance_config": anything,
        "enable_reuse_port": anything,
        "filter_chains": each(_chain),
    },
    {"filter_chains": ("other_way_in", "there is no gate")},
)


def check_listeners(value: Any, path: Path, report: Report, *, insecure: bool) -> None:
    """Every listener must be a gate of the same kind, and one that others can reach must speak TLS."""
    if not items(value):
        report.add("no_route", path, "there is no listener")
    each(_listener)(value, path, report)
    for index, listener in enumerate(items(value)):
        host = get(listener, "address", "socket_address", "address")
        open_chains = any(not get(c, "transport_socket") for c in items(get(listener, "filter_chains")))
        if host is not None and not is_loopback(str(host)) and open_chains and not insecure:
            message = "tokens and prompts would cross the network in clear; add TLS, or say --insecure"
            report.add("plain_listener", (*path, index, "address"), message)
