"""A record that verifies under the key of a test."""

from __future__ import annotations

from typing import Any

from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


def assert_verifies(place: Any, size: int) -> None:
    keyring = None if place.keys is None else place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=())
    finally:
        if keyring is not None:
            keyring.close()
    assert (report.size, report.wrong) == (size, [])
