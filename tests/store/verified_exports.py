"""What the verifier of an export says of a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from authz_service.commands.audit_export import Wanted, export
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_verifier import verification

KEY = LogKey.create("example.com/log")


def exported(place: Any, folder: Path, *, payloads: bool = True, key: LogKey = KEY) -> list[tuple[str, str]]:
    """What the verifier of an export says of it."""
    with reading(place.url) as reader:
        size = reader.head().size
        wanted = Wanted((str(key.vkey),), 1, size, payloads=payloads)
        export(reader, folder, wanted, lambda done, size: None)
    return verification.verify(folder, [str(key.vkey)]).wrong
