"""Payloads as rows, and back: opened with the key of their subject, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Protocol

from sqlalchemy import Row, select

from authz_service.audit.entry import SALT_BYTES, payload_digest
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.keys.payload_cipher import Altered, Opened, unseal
from authz_service.store.bulk_rows import PayloadRow, require_bytes
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
    for row in _rows(reader, digests):
        opened = open_payload(row, reader.keyring)
        if opened is not None:
            found[bytes(row.digest)] = opened
    return found


def shown_payloads(reader: Reader, digests: Collection[bytes]) -> dict[bytes, bytes | None]:
    """The bodies of those that are still there and whose key is, None for one that is not as it was recorded.

    For whom they are shown to, and nobody goes by them: raises `Unavailable` only where no keys are at hand.
    """
    found: dict[bytes, bytes | None] = {}
    for row in _rows(reader, digests):
        opened: Opened | None
        try:
            opened = open_payload(row, reader.keyring)
        except (Unavailable, TypeError, ValueError) as error:  # SQLite gives back whatever was put there
            if isinstance(error, Unavailable) and error.code != DAMAGED:
                raise
            opened = Opened(b"", b"")
        if opened is not None:
            is_whole = len(opened.salt) == SALT_BYTES and payload_digest(*opened) == row.digest
            found[bytes(row.digest)] = opened.body if is_whole else None
    return found


def _rows(reader: Reader, digests: Collection[bytes]) -> Iterator[Row[Any]]:
    wanted = sorted(digests)
    columns = (payloads.c.digest, payloads.c.salt, payloads.c.body, payloads.c.key)
    for start in range(0, len(wanted), _DIGESTS_AT_ONCE):
        some = wanted[start : start + _DIGESTS_AT_ONCE]
        yield from reader.read(select(*columns).where(payloads.c.digest.in_(some)))


def open_payload(row: Row[Any] | PayloadRow, keys: Keys | None) -> Opened | None:
    """A row of `payloads`; None when the key of its subject was destroyed.

    Raises `Unavailable` when the bytes were altered, or no keys are at hand.
    """
    if row.key is not None and keys is None:
        raise Unavailable("the payloads are sealed, and their keys are not here", code=KEYS_MISSING)
    key = None if row.key is None or keys is None else keys.key(row.key)
    try:
        if row.key is None:
            return Opened(require_bytes(row.salt), require_bytes(row.body))
        if key is None:
            return None
        return unseal(key, require_bytes(row.salt), require_bytes(row.digest), require_bytes(row.body))
    except (Altered, TypeError, ValueError) as error:  # SQLite gives back whatever was put there
        raise Unavailable("a stored payload is damaged", code=DAMAGED) from error
