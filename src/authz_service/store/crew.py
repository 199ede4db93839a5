"""Whether a configuration's databases and addresses can serve several workers."""

from __future__ import annotations

from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.store.location import SQLITE, keys_url, store_url


def require_possible(config: Config, data: DataDir, workers: int) -> None:
    """Raise `Misconfigured` where `workers` processes cannot share what the configuration names."""
    if workers == 1:
        return
    if store_url(config, data).startswith(SQLITE):
        raise Misconfigured(
            f"{workers} workers share one record, and an SQLite file serves one process: set store.url to"
            " postgresql://..., or start one"
        )
    if keys_url(config, data).startswith(SQLITE):
        raise Misconfigured(
            f"{workers} workers share the keys of the record, and an SQLite file serves one process: set"
            " record.keys.url to postgresql://..., in another database than store.url, or start one"
        )
    if config.link is None:
        return
    known = {port for _, port in config.link.addresses}
    ports = [Part(workers, worker).port(config.link.listen[1]) for worker in range(workers)]
    missing = [str(port) for port in ports if port not in known]
    if missing:
        raise Misconfigured(
            f"{workers} workers listen on the ports {ports[0]} to {ports[-1]}, and Envoy would not find all:"
            f" service.addresses names no port {', '.join(missing)}"
        )
