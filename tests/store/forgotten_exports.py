"""What an export of a record that was forgotten of says when it is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.store.forgotten import KEY

from authz_service.commands.audit_export import Wanted, export
from authz_service.store.keyring import Keyring
from authz_service.store.record_reader import reading
from authz_verifier import report, verification


def exported(place: Any, folder: Path, first: int = 1, last: int | None = None) -> report.Report:
    """What an export says of itself, of the entries from `first`, up to `last`."""
    keyring = place.keyring()
    try:
        return export_with(keyring, place, folder, first, last)
    finally:
        keyring.close()


def export_with(
    keyring: Keyring, place: Any, folder: Path, first: int = 1, last: int | None = None
) -> report.Report:
    with reading(place.url, keyring) as reader:
        wanted = Wanted([str(KEY.vkey)], first, last or reader.largest())
        export(reader, folder, wanted, lambda done, size: None)
    return verification.verify(folder)
