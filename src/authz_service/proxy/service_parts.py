"""The part of envoy.yaml that says how the service is reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from authz_service.config.gateway_values import Link
from authz_service.proxy.model_parts import transport
from authz_service.proxy.settings import LINK_CERTIFICATE, EnvoySettings, is_address


def fill_service(cluster: Any, settings: EnvoySettings, *, copy: Callable[[Any], Any]) -> None:
    """One endpoint for each process of the service; over TCP with a certificate of both sides.

    `copy` makes a further endpoint from the first.
    """
    link = settings.link
    addresses: list[Any] = (
        [{"pipe": {"path": str(socket)}} for socket in settings.service_sockets]
        if link is None
        else [{"socket_address": {"address": host, "port_value": port}} for host, port in link.addresses]
    )
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    del endpoints[1:]
    for index, address in enumerate(addresses):
        endpoint = endpoints[0] if index == 0 else copy(endpoints[0])
        endpoint["endpoint"]["address"] = address
        if index:
            endpoints.append(endpoint)
    if link is None:
        cluster["type"] = "STATIC"
        cluster.pop("transport_socket", None)
        return
    cluster["type"] = "STATIC" if all(is_address(host) for host, _ in link.addresses) else "STRICT_DNS"
    if settings.link_certificate is None:
        raise RuntimeError("a link without the file of Envoy's certificate")
    cluster["transport_socket"] = _both_sides(link, settings.link_certificate)


def _both_sides(link: Link, sds: Path) -> dict[str, Any]:
    """Envoy shows its certificate, and takes only one for a host that it was told to ask."""
    hosts = sorted({host for host, _ in link.addresses})
    names = [
        {"san_type": "IP_ADDRESS" if is_address(host) else "DNS", "matcher": {"exact": host}}
        for host in hosts
    ]
    shown = {"name": LINK_CERTIFICATE, "sds_config": {"path_config_source": {"path": str(sds)}}}
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [shown],
        "validation_context": {
            "trusted_ca": {"filename": str(link.authority)},
            "match_typed_subject_alt_names": names,
        },
    }
    return transport("UpstreamTlsContext", {"common_tls_context": common})
