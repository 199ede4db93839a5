"""The canonical bytes of an entry (RFC 8785): they are the record, and the leaf of the Merkle tree."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import NoneType
from typing import Any

import orjson

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Unreadable

FORMAT = 1
SALT_BYTES = 32
LARGEST_ENTRY = 64 * 1024 - 1  # tlog-tiles writes the length of an entry as 16 bits

_FEW = 4096
"""Bytes of a payload that are copied in less time than a hash is asked a second time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 8785 3.2.2.3: numbers are doubles, so integers beyond 2^53 - 1 are refused: two would share their bytes.
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_KINDS = {kind: kind.value for kind in Kind}
_SCALARS = frozenset({str, int, bool, NoneType})


@dataclass(frozen=True, slots=True)
class PayloadRef:
    """How an entry accounts for a payload: `digest` is SHA-256(salt || payload), `size` in bytes."""

    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """What the bytes of an entry say. `at` is in microseconds since the epoch."""

    sequence: int
    at: int
    kind: str
    session: str | None
    data: Mapping[str, Any]
    payloads: Mapping[str, PayloadRef]


def payload_digest(salt: bytes, payload: bytes) -> bytes:
    """SHA-256(salt || payload): without the salt, which goes when the payload goes, it says nothing."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
    if len(payload) <= _FEW:
        return hashlib.sha256(salt + payload).digest()
    digest = hashlib.sha256(salt)
    digest.update(payload)
    return digest.digest()


def encode(draft: EntryDraft, *, sequence: int, at: int, payloads: Mapping[str, PayloadRef]) -> bytes:
    """The canonical bytes of `draft` as entry `sequence` (from 1), `at` microseconds since the epoch.

    Raises `Unreadable` (413) above 64 KiB, since what makes an entry large is what a caller sent; and
    `ValueError` for what has no canonical form here: floats, large integers, keys that are not ASCII.
    """
    _check_data(draft.data)
    document = {
        "v": FORMAT,
        "seq": sequence,
        "at": rfc3339(at),
        "kind": _KINDS[draft.kind],
        "session": draft.session,
        "data": draft.data,
        "payloads": _references(payloads) if payloads else {},
    }
    try:
        body = orjson.dumps(document, option=_CANONICAL)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"an entry of kind {draft.kind} has no canonical form: {error}") from None
    if not body.isascii():  # if it is, so are its keys
        _check_keys(document)
    if len(body) > LARGEST_ENTRY:
        raise Unreadable(
            "what this request would put on record is larger than an entry may be (64 KiB)",
            code="entry_too_large",
            status=413,
        )
    return body


def decode(body: bytes) -> ReadEntry:
    """Read the bytes of a committed entry; raises `ValueError` when they are no entry of format 1."""
    try:
        document = orjson.loads(body)
        if document["v"] != FORMAT:
            raise ValueError(f"an entry of format {document['v']!r}, expected {FORMAT}")
        payloads = {
            name: PayloadRef(bytes.fromhex(ref["digest"]), ref["size"])
            for name, ref in document["payloads"].items()
        }
        return ReadEntry(
            document["seq"],
            microseconds(document["at"]),
            document["kind"],
            document["session"],
            document["data"],
            payloads,
        )
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not an entry: {type(error).__name__}") from error


@lru_cache(maxsize=64)  # all entries of a transaction have the same time
def rfc3339(at: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, always with six digits (2026-11-05T...Z)."""
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}Z"


@lru_cache(maxsize=64)
def microseconds(text: str) -> int:
    """The inverse of `rfc3339`; raises `ValueError` for another text."""
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0):
        raise ValueError("a time of an entry is in UTC")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _references(payloads: Mapping[str, PayloadRef]) -> dict[str, dict[str, str | int]]:
    return {name: {"digest": ref.digest.hex(), "size": ref.size} for name, ref in payloads.items()}


def _check_data(data: Mapping[str, Any]) -> None:
    # This runs for every value of every entry: exact types first, which cost the least to tell.
    for key, value in data.items():
        kind = type(value)
        if kind is str or kind is int:
            continue
        if kind is list:
            items: Collection[object] = value
        elif kind is dict:
            items = value.values()
        else:
            items = (value,)
        if items and not _SCALARS.issuperset(map(type, items)):
            _check_items(key, items)


def _check_items(key: str, items: Iterable[object]) -> None:
    for item in items:
        if not isinstance(item, str | int | None):
            raise ValueError(f"an entry's {key!r} is or holds a {type(item).__name__}")


def _check_keys(document: Mapping[str, Any]) -> None:
    # RFC 8785 3.2.3 sorts by UTF-16 units and orjson by bytes; for ASCII they are the same.
    for key, value in document.items():
        if not key.isascii():
            raise ValueError("a key of an entry is ASCII")
        if isinstance(value, dict):
            _check_keys(value)
