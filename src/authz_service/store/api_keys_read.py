"""API keys as their rows and entries tell of them; one that is damaged costs no other, and counts no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Row, select

from authz_service.audit.entry import ReadEntry
from authz_service.core.api_keys import ApiKey
from authz_service.store.bulk_rows import require_bytes
from authz_service.store.column_texts import seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.payload_rows import shown_payloads
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader

log = structlog.get_logger(__name__)

AT_ONCE: Final = 400  # SQLite bounds the parameters of a statement


@dataclass(frozen=True, slots=True)
class _Told:
    """A sound entry with its payloads, without those that went with whom they are about; None is damaged."""

    entry: ReadEntry
    payloads: Mapping[str, Any]


def read_keys(reader: Reader, rows: Sequence[Row[Any]]) -> tuple[ApiKey, ...]:
    """The keys of these rows, in their order, with what their entries say of them.

    One of which something cannot be read `is_damaged`, and has what is left: nobody could tell what it may
    ask for.
    """
    told: dict[int, _Told] = {}
    named = (number for row in rows for number in (row.made, row.ended, row.seq))
    numbers = {number for number in named if isinstance(number, int)}
    wanted = sorted(numbers)
    for start in range(0, len(wanted), AT_ONCE):
        told |= _told(reader, wanted[start : start + AT_ONCE])
    return tuple(_key(row, told) for row in rows)


def name_damaged(keys: Iterable[ApiKey]) -> None:
    """Say in the log which of them are."""
    for key in keys:
        if key.is_damaged:
            log.error("api_key.damaged", key=key.id)


def time_or_none(stored: Any) -> float | None:
    """A time of a row in seconds; SQLite gives back whatever was put there, and what is no number is None."""
    return seconds(stored) if isinstance(stored, int) else None


def _told(reader: Reader, numbers: Sequence[int]) -> dict[int, _Told]:
    rows = reader.read(select(*SOUND).where(entries.c.seq.in_(numbers)))
    found = [entry for row in rows if row.body and (entry := sound(row)) is not None]
    stored = shown_payloads(reader, {ref.digest for entry in found for ref in entry.payloads.values()})
    told: dict[int, _Told] = {}
    for entry in found:
        bodies = {n: stored[ref.digest] for n, ref in entry.payloads.items() if ref.digest in stored}
        read = {name: None if body is None else json.loads(body) for name, body in bodies.items()}
        told[entry.sequence] = _Told(entry, read)
    return told


def _key(row: Row[Any], told: Mapping[int, _Told]) -> ApiKey:
    try:
        return _read(row, told)
    except DAMAGE:
        return _left(row)


def _read(row: Row[Any], told: Mapping[int, _Told]) -> ApiKey:
    entry, payloads = told[row.made].entry, told[row.made].payloads
    if entry.data["key"] != row.id:
        raise ValueError("it was another key that this entry made")
    _require_as_told(row, entry, told)
    # What is not there went with whom it is about.
    nameless = {"name": row.id, "owner": "", "groups": []} if entry.data.get("subject") else {}
    key = payloads.get("key", nameless)
    ended = told[row.ended].payloads if row.ended in told else {}
    return ApiKey(
        id=row.id,
        hash=require_bytes(row.hash),
        name=_text(key["name"]),
        owner=_text(key["owner"]),
        groups=tuple(map(_text, key["groups"])),
        scope=tuple(map(_text, entry.data["scope"])),
        created_at=seconds(row.created_at),
        expires_at=seconds(row.expires_at),
        by=_name(payloads),
        replaces=row.replaces,
        revoked_at=None if row.revoked_at is None else seconds(row.revoked_at),
        revoked_by=_name(ended),
        reason=_reason(ended),
    )


def _require_as_told(row: Row[Any], made: ReadEntry, told: Mapping[int, _Told]) -> None:
    """Raise one of `DAMAGE` where the row has another secret, or a later end, than was recorded.

    An earlier end lets nothing through; verification names it.
    """
    ends = made.data["expires"]
    if row.ended is None and row.seq != row.made:  # what came last is that another took its place
        last = told[row.seq].entry.data
        if last["replaces"] != row.id:
            raise ValueError("it was no key in its place that this entry made")
        ends = min(ends, last["replaced_until"])
    is_made = (require_bytes(row.hash).hex(), row.created_at) == (made.data["hash"], made.at)
    if not is_made or row.expires_at > ends * 1_000_000 or (row.ended is None) != (row.revoked_at is None):
        raise ValueError("it is not what was recorded")


def _left(row: Row[Any]) -> ApiKey:
    """A damaged one: nameless, of no scope, at its end."""
    return ApiKey(
        id=str(row.id),
        hash=row.hash if isinstance(row.hash, bytes) else b"",
        name=str(row.id),
        owner="",
        groups=(),
        scope=(),
        created_at=time_or_none(row.created_at) or 0.0,
        expires_at=time_or_none(row.expires_at) or 0.0,
        by="",
        replaces=row.replaces if isinstance(row.replaces, str) else None,
        revoked_at=None if row.revoked_at is None else time_or_none(row.revoked_at) or 0.0,
        is_damaged=True,
    )


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError("it is no text")
    return told


def _name(payloads: Mapping[str, Any]) -> str:
    """Who did it: "" where that is gone or damaged, which no key counts less for."""
    with suppress(*DAMAGE):
        operator = payloads["operator"]
        return str(operator.get("person") or operator["subject"])
    return ""


def _reason(payloads: Mapping[str, Any]) -> str:
    with suppress(*DAMAGE):
        return str(payloads["reason"]["reason"])
    return ""
