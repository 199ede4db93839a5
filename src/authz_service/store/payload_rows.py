"""Payloads as rows, and back: opened with the key of their subject, or not at all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from sqlalchemy import Row, select

from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.keys.payload_cipher import Altered, Opened, unseal
from authz_service.store.schema import payloads
from authz_service.store.transaction import Reader


class Keys(Protocol):
    """Where the keys of subjects are."""

    def key(self, key_id: str) -> bytes | None:
        """The key of that id; None when it was destroyed, or is not here."""
        ...


KEYS_MISSING = "keys_missing"
_DIGESTS_AT_ONCE = 500  # SQLite bounds the parameters of a statement


def read_payloads(reader: Reader, digests: Collection[bytes]) -> dict[bytes, Opened]:
    """Those of the payloads that are still there and whose key is; raises `Unavailable` for damaged ones."""
    found: dict[bytes, Opened] = {}
    wanted = sorted(digests)
    for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
        some = wanted[start : start + _DIGESTS_AT_ONCE]
        columns = (payloads.c.digest, payloads.c.salt, payloads.c.body, payloads.c.key)
        for row in reader.read(select(*columns).where(payloads.c.digest.in_(some))):
            opened = open_payload(row, reader.keyring)
            if opened is not None:
                found[bytes(row.digest)] = opened
    return found


def open_payload(row: Row[Any], keys: Keys | None) -> Opened | None:
    """A row of `payloads`; None when the key of its subject was destroyed.

    Raises `Unavailable` when the bytes were altered, or no keys are at hand.
    """
    if row.key is None:
        return Opened(bytes(row.salt), bytes(row.body))
    if keys is None:
        raise Unavailable("the payloads are sealed, and their keys are not here", code=KEYS_MISSING)
    key = keys.key(row.key)
    if key is None:
        return None
    try:
        return unseal(key, bytes(row.salt), bytes(row.digest), bytes(row.body))
    except Altered as error:
        raise Unavailable("a stored payload is damaged", code=DAMAGED) from error
