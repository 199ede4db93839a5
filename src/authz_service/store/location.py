"""Where a configuration's store is."""

from __future__ import annotations

from authz_service.config.model import Config
from authz_service.keys.data_dir import DataDir

SQLITE = "sqlite:///"


def store_url(config: Config, data: DataDir) -> str:
    """The store's URL; a relative SQLite file lies in the data directory."""
    path = config.store_url.removeprefix(SQLITE)
    if config.store_url.startswith(SQLITE) and not path.startswith("/"):
        return f"{SQLITE}{data.root / path}"
    return config.store_url
