"""Asks whether one of several processes of the service listens to Envoy."""

from __future__ import annotations

from authz_service.config.gateway_values import Link
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.probes import accepts, accepts_unix, reachable


def worker_serves(link: Link | None, data: DataDir, part: Part) -> bool:
    """Whether this worker listens to Envoy; with a `link` by TCP."""
    if link is None:
        return accepts_unix(part.socket(data))
    host, port = link.listen
    return accepts(reachable(host), part.port(port))
