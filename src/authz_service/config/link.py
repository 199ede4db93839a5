"""How Envoy reaches the service: a Unix socket on one machine, mutual TLS between several."""

from __future__ import annotations

from pathlib import Path

from authz_service.config import scalars
from authz_service.config.gateway import file_path
from authz_service.config.gateway_values import Link
from authz_service.config.section import Section


def read_link(root: Section, base: Path) -> Link | None:
    """`service`: absent where both share the data directory's socket.

    Never plain TCP: every certificate is required, Envoy's and the service's.
    """
    section = root.section("service")
    if section is None:
        return None
    addresses = section.required("addresses", scalars.list_of(scalars.host_and_port), ())
    listen = section.optional("listen", scalars.host_and_port, addresses[0] if addresses else ("", 0))
    if not addresses:
        section.refuse_value("addresses", "at least one host:port is needed, where Envoy finds the service")
    file = file_path(base)
    link = Link(
        addresses=addresses,
        listen=listen,
        authority=section.required("authority", file, base),
        cert=section.required("cert", file, base),
        key=section.required("key", file, base),
        envoy_cert=section.required("envoy_cert", file, base),
        envoy_key=section.required("envoy_key", file, base),
    )
    section.close()
    return link
