"""The parts of envoy.yaml that depend on one model or on TLS: a route, a cluster, a socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from authz_service.framing.headers import MODEL_HEADER
from authz_service.proxy.settings import CERTIFICATE, Injected, ModelTarget

_TYPE = "type.googleapis.com/envoy.extensions."
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_INJECTOR = "envoy.filters.http.credential_injector"
_TLS = "envoy.transport_sockets.tls"


def fill_route(route: Any, model: ModelTarget) -> None:
    """Make `route` the only way to `model`: by the header that the service sets."""
    route["name"] = f"model/{model.name}"
    route["match"]["headers"] = [{"name": MODEL_HEADER, "string_match": {"exact": model.name}}]
    action = route["route"]
    action["cluster"] = f"model/{model.name}"
    action["host_rewrite_literal"] = model.authority
    if model.base:
        action["prefix_rewrite"] = f"{model.base}/"
    else:
        action.pop("prefix_rewrite", None)


def fill_cluster(cluster: Any, model: ModelTarget, authorities: Path | None) -> None:
    """Make `cluster` the server of `model`, with its credential and, over https, its verification."""
    cluster["name"] = f"model/{model.name}"
    cluster["type"] = "STATIC" if model.is_address else "STRICT_DNS"
    cluster["load_assignment"]["cluster_name"] = cluster["name"]
    address = {"socket_address": {"address": model.host, "port_value": model.port}}
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    if model.tls:
        cluster["transport_socket"] = _model_tls(model, authorities)
    else:
        cluster.pop("transport_socket", None)
    _fill_credential(cluster["typed_extension_protocol_options"][_HTTP_OPTIONS], model)


def gateway_tls(sds: Path, client_authority: Path | None) -> dict[str, Any]:
    """The listener's own certificate by its SDS file; TLS 1.2 or newer, HTTP/2 where the client offers it.

    A client may show a certificate of `client_authority`, and none of any other.
    """
    certificate = {"name": CERTIFICATE, "sds_config": {"path_config_source": {"path": str(sds)}}}
    common: dict[str, Any] = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [certificate],
    }
    asked = {}
    if client_authority is not None:
        common["validation_context"] = {"trusted_ca": {"filename": str(client_authority)}}
        asked = {"require_client_certificate": False}  # callers with tokens show none
    return transport("DownstreamTlsContext", {"common_tls_context": common, **asked})


def _model_tls(model: ModelTarget, authorities: Path | None) -> dict[str, Any]:
    kind = "IP_ADDRESS" if model.is_address else "DNS"
    validation = {
        "trusted_ca": {"filename": str(authorities)},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": model.host}}],
    }
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "validation_context": validation,
    }
    named = {} if model.is_address else {"sni": model.host}  # RFC 6066 3: no addresses in SNI
    return transport("UpstreamTlsContext", {**named, "common_tls_context": common})


def transport(kind: str, context: dict[str, Any]) -> dict[str, Any]:
    """A TLS socket of Envoy's: `kind` is UpstreamTlsContext or DownstreamTlsContext."""
    typed = {"@type": f"{_TYPE}transport_sockets.tls.v3.{kind}", **context}
    return {"name": _TLS, "typed_config": typed}


def _fill_credential(options: Any, model: ModelTarget) -> None:
    filters = options.get("http_filters", [])
    present = next((f for f in filters if f["name"] == _INJECTOR), None)
    if model.credential is None:
        options.pop("http_filters", None)
    elif present is None:
        options["http_filters"] = [_injector(model.name, model.credential), _codec()]
    else:
        generic = present["typed_config"]["credential"]["typed_config"]
        generic["credential"]["name"] = f"credential/{model.name}"
        generic["credential"]["sds_config"]["path_config_source"]["path"] = str(model.credential.sds)
        generic["header"] = model.credential.header
        generic["header_value_prefix"] = model.credential.prefix


def _injector(model: str, credential: Injected) -> dict[str, Any]:
    secret = {
        "name": f"credential/{model}",
        "sds_config": {"path_config_source": {"path": str(credential.sds)}},
    }
    generic = {
        "@type": f"{_TYPE}http.injected_credentials.generic.v3.Generic",
        "credential": secret,
        "header": credential.header,
        "header_value_prefix": credential.prefix,
    }
    typed = {
        "@type": f"{_TYPE}filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {"name": "envoy.http.injected_credentials.generic", "typed_config": generic},
    }
    return {"name": _INJECTOR, "typed_config": typed}


def _codec() -> dict[str, Any]:
    typed = {"@type": f"{_TYPE}filters.http.upstream_codec.v3.UpstreamCodec"}
    return {"name": "envoy.filters.http.upstream_codec", "typed_config": typed}
