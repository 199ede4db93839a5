"""The keys of a record that was signed by several: each signs for the next one in an entry."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select

from authz_service.audit.checkpoint import SESSION, VerifierKey
from authz_service.audit.draft import Kind
from authz_service.audit.entry import decode
from authz_service.keys.log_key import is_ed25519_signature
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import entries


def with_rotated(reader: RecordReader, known: Sequence[VerifierKey]) -> list[VerifierKey]:
    """`known`, the keys that these have signed for, and those that have signed for one of these.

    A key that signs for a new one vouches for it. One that came before is believed for the checkpoints of
    its time, because the key after it, which signs the record now, has the exchange on record.
    """
    keys = list(known)
    pairs = list(_exchanges(reader))
    for old, new in pairs:
        if old in keys and new not in keys:
            keys.append(new)
    for old, new in reversed(pairs):
        if new in keys and old not in keys:
            keys.append(old)
    return keys


def _exchanges(reader: RecordReader) -> list[tuple[VerifierKey, VerifierKey]]:
    """Old and new key of each exchange that the old one has signed, in order."""
    found: list[tuple[VerifierKey, VerifierKey]] = []
    query = select(entries.c.body).where(entries.c.session == SESSION).order_by(entries.c.seq)
    for row in reader.read(query):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = decode(bytes(row.body))
            if entry.kind == Kind.LOG_KEY_ROTATED:
                old, new = (VerifierKey.parse(entry.data[name]) for name in ("previous", "key"))
                statement = f"authz log key\n{old}\n{new}\n".encode()
                signature = base64.b64decode(entry.data["signature"])
                if is_ed25519_signature(old.public, signature, statement):
                    found.append((old, new))
    return found
