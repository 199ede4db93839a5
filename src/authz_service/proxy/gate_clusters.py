"""Where traffic may go: what the clusters of an Envoy file may look like."""

from __future__ import annotations

from typing import Any, Final

from authz_service.proxy.faults import Path, Report
from authz_service.proxy.shape import anything, each, exactly, fields, get, items, one_of

_TYPES: Final = "type.googleapis.com/envoy.extensions."
_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_INJECTOR: Final = f"{_TYPES}filters.http.credential_injector.v3.CredentialInjector"
_CODEC: Final = f"{_TYPES}filters.http.upstream_codec.v3.UpstreamCodec"
_TLS: Final = f"{_TYPES}transport_sockets.tls.v3.UpstreamTlsContext"

_file = fields({"filename": anything})


def _names(value: Any, path: Path, report: Report) -> None:
    each(fields({"san_type": anything, "matcher": fields({"exact": anything})}))(value, path, report)
    if not items(value) or any(not get(name, "matcher", "exact") for name in items(value)):
        report.add(
            "unverified_tls", path, "each name must be given exactly: else a certificate of any would do"
        )


_validation = fields(
    {
        "trusted_ca": _file,
        "match_typed_subject_alt_names": _names,
        "crl": anything,
        "max_verify_depth": anything,
        "verify_certificate_spki": anything,
        "verify_certificate_hash": anything,
    },
    {
        "trusted_ca": ("unverified_tls", "any certificate would do"),
        "match_typed_subject_alt_names": ("unverified_tls", "a certificate of any name would do"),
    },
)
_common_tls = fields(
    {
        "tls_params": anything,
        "tls_certificates": anything,
        "tls_certificate_sds_secret_configs": anything,
        "validation_context": _validation,
        "alpn_protocols": anything,
    },
    {"validation_context": ("unverified_tls", "the server would not be verified")},
)
_transport = fields(
    {
        "name": anything,
        "typed_config": fields(
            {
                "@type": exactly(_TLS, "unverified_tls", "only TLS is checked here"),
                "sni": anything,
                "max_session_keys": anything,
                "common_tls_context": _common_tls,
            },
            {"common_tls_context": ("unverified_tls", "the server would not be verified")},
        ),
    },
    {"typed_config": ("unverified_tls", "a name alone says nothing")},
)


def _upstream_filters(value: Any, path: Path, report: Report) -> None:
    kinds = [get(entry, "typed_config", "@type") for entry in items(value)]
    if kinds not in ([_CODEC], [_INJECTOR, _CODEC]):
        message = "behind the gate stand credential_injector and upstream_codec, and nothing else"
        report.add("unknown_filter", path, message)
    each(fields({"name": anything, "typed_config": anything}))(value, path, report)
    if kinds[:1] == [_INJECTOR]:
        here = (*path, 0, "typed_config")
        fields(
            {
                "@type": anything,
                "overwrite": exactly(True, "credential_crosses", "must be true: a caller's would be kept"),
                "credential": anything,
            },
            {"overwrite": ("credential_crosses", "a credential of the caller's would be kept")},
        )(get(value, 0, "typed_config"), here, report)


_common_http = fields(
    {
        "idle_timeout": anything,
        "max_headers_count": anything,
        "max_response_headers_kb": anything,
        "max_requests_per_connection": anything,
    }
)
_options = fields(
    {
        _OPTIONS: fields(
            {
                "@type": anything,
                "common_http_protocol_options": _common_http,
                "explicit_http_config": fields(
                    {
                        "http_protocol_options": exactly(
                            {}, "smuggling", "must be {}: both sides must read HTTP/1 the same"
                        ),
                        "http2_protocol_options": anything,
                    }
                ),
                "http_filters": _upstream_filters,
            }
        )
    }
)
_address = fields(
    {
        "pipe": fields({"path": anything}),
        "socket_address": fields({"address": anything, "port_value": anything}),
    }
)
_endpoint = fields({"endpoint": fields({"address": _address, "hostname": anything})})
_assignment = fields({"cluster_name": anything, "endpoints": each(fields({"lb_endpoints": each(_endpoint)}))})
_cluster = fields(
    {
        "name": anything,
        "alt_stat_name": anything,
        "type": one_of(
            ["STATIC", "STRICT_DNS", "LOGICAL_DNS"], "dynamic", "must be STATIC, STRICT_DNS or LOGICAL_DNS"
        ),
        "connect_timeout": anything,
        "per_connection_buffer_limit_bytes": anything,
        "lb_policy": one_of(
            ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"], "unknown_setting", "is not checked here"
        ),
        "common_lb_config": anything,
        "least_request_lb_config": anything,
        "health_checks": anything,
        "close_connections_on_host_health_failure": anything,
        "circuit_breakers": anything,
        "outlier_detection": anything,
        "dns_lookup_family": anything,
        "dns_refresh_rate": anything,
        "respect_dns_ttl": anything,
        "upstream_connection_options": anything,
        "typed_extension_protocol_options": _options,
        "transport_socket": _transport,
        "load_assignment": _assignment,
    }
)


def check_clusters(value: Any, path: Path, services: set[str], admin: Any, report: Report) -> None:
    """Known kinds of clusters only; those of the service are reached by a socket or by mutual TLS.

    No other cluster may lead to the service or to `admin`, the administration interface's address.
    """
    each(_cluster)(value, path, report)
    names = [get(cluster, "name") for cluster in items(value)]
    for name in sorted(services - {name for name in names if isinstance(name, str)}):
        report.add("plain_service", path, f"there is no cluster named {name}")
    private = [a for c in items(value) if get(c, "name") in services for a in _addresses(c)]
    for index, cluster in enumerate(items(value)):
        if names.count(names[index]) > 1:
            report.add("cluster_repeated", (*path, index), "two clusters have this name")
        if names[index] in services:
            _check_service(cluster, (*path, index), report)
        elif any(_is_same(address, other) for address in _addresses(cluster) for other in [*private, admin]):
            message = "would lead requests to the service or to the administration interface"
            report.add("service_exposed", (*path, index), message)


def empty_clusters(value: Any) -> set[str]:
    """The clusters without any server."""
    return {
        str(get(cluster, "name"))
        for cluster in items(value)
        if get(cluster, "type") == "STATIC" and not list(_addresses(cluster))
    }


def _check_service(cluster: Any, path: Path, report: Report) -> None:
    tls = get(cluster, "transport_socket", "typed_config", "common_tls_context")
    shown = items(get(tls, "tls_certificates")) or items(get(tls, "tls_certificate_sds_secret_configs"))
    for address in _addresses(cluster):
        if get(address, "pipe") is None and not shown:
            message = "the service is reached by a Unix socket, or by TLS with a certificate of Envoy's own"
            report.add("plain_service", path, message)
            return
        if is_abstract(get(address, "pipe", "path")):
            report.add("plain_service", path, "a socket that is no file has no owner: anybody could be it")


def is_abstract(socket: Any) -> bool:
    """Whether a Unix socket has no file (unix(7), abstract): any local process may bind or connect to it."""
    return str(socket).startswith("@")


def _addresses(cluster: Any) -> list[Any]:
    localities = items(get(cluster, "load_assignment", "endpoints"))
    endpoints = [e for locality in localities for e in items(get(locality, "lb_endpoints"))]
    return [get(endpoint, "endpoint", "address") for endpoint in endpoints]


def _is_same(one: Any, other: Any) -> bool:
    pipe, socket = get(one, "pipe", "path"), get(one, "socket_address")
    return (pipe is not None and pipe == get(other, "pipe", "path")) or (
        socket is not None and socket == get(other, "socket_address")
    )
