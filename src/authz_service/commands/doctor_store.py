"""What `authz doctor` says of the databases: that they open, and have the tables of this version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.model import Config
from authz_service.errors import AuthzError
from authz_service.keys.data_dir import DataDir
from authz_service.store.location import store_url
from authz_service.store.record_reader import reading

CHECK = "record store"


def check_store(config: Config, data: DataDir) -> Iterator[Finding]:
    """The record, read as it is, also beside a service that runs; changes nothing."""
    url = store_url(config, data)
    if url.startswith("sqlite:") and not Path(url.removeprefix("sqlite:///")).exists():
        yield Finding(CHECK, Status.OK, "none yet; it is made at the first start")
        return
    try:
        with reading(url) as record:
            yield Finding(CHECK, Status.OK, f"{record.largest()} entries")
    except AuthzError as error:
        message, _, step = str(error).rpartition("; ")
        yield Finding(CHECK, Status.FAIL, message or step, step if message else "see its own log")
