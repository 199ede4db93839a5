"""Where a configuration's store is, and the keys of its record."""

from __future__ import annotations

from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir

SQLITE = "sqlite:///"


def store_url(config: Config, data: DataDir) -> str:
    """The store's URL; a relative SQLite file lies in the data directory."""
    path = config.store_url.removeprefix(SQLITE)
    if config.store_url.startswith(SQLITE) and not path.startswith("/"):
        return f"{SQLITE}{data.root / path}"
    return config.store_url


def keys_url(config: Config, data: DataDir) -> str:
    """The key store's URL; raises `Misconfigured` when it is the record's own database."""
    url = config.record.keeping.keys.url
    if url is None:
        return f"{SQLITE}{data.subject_keys}"
    path = url.removeprefix(SQLITE)
    if url.startswith(SQLITE) and not path.startswith("/"):
        url = f"{SQLITE}{data.root / path}"
    if url == store_url(config, data):
        raise Misconfigured("record.keys.url is store.url: keys and record belong into separate databases")
    return url
