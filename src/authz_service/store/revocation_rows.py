"""Withdrawn tokens as rows: each change is committed with its entry, which says whose tokens they are.

The row has only which entry is in force and until when. Names lie sealed, with the entry's payloads: whose
tokens they are under that person's own key, so that an erasure takes it. The pseudonym in the entry stays,
and by it the withdrawal goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.entry import ReadEntry
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked, RevokedBy, in_order
from authz_service.store.api_key_rows import by_whom
from authz_service.store.column_texts import seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.payload_rows import shown_payloads
from authz_service.store.schema import entries, revocations
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader, Transaction

AT_ONCE = 400  # SQLite bounds the parameters of a statement
DAMAGED_REASON = "what is stored of it is damaged; see: authz audit verify; entry"
"""In the place of the reason of a withdrawal that cannot be read, with its number behind it."""


class _Row(NamedTuple):
    seq: int
    until: int | None
    at: int


def revoke(transaction: Transaction, revocation: Revocation, entry: EntryDraft) -> None:
    """Add or replace; what has run out goes meanwhile."""
    replaced = _of(transaction, revocation.what)
    recorded = transaction.record(_about(transaction, entry, revocation.what, replaced))
    over = [known.seq for known, told, _ in _told(transaction) if _is_over(transaction, known, told)]
    transaction.change(delete(revocations).where(revocations.c.seq.in_([*replaced, *over])))
    row = {
        "seq": recorded.last,
        # Whole seconds, as the entry has it: whoever verifies the record derives this row from it.
        "until": None if revocation.until is None else int(revocation.until) * 1_000_000,
        "at": transaction.now,
    }
    transaction.change(insert(revocations).values(row))


def restore(transaction: Transaction, what: Revoked, entry: EntryDraft) -> bool:
    """Lift one that is in force."""
    lifted = _of(transaction, what)
    if not lifted:
        return False
    transaction.record(_about(transaction, entry, what, lifted))
    transaction.change(delete(revocations).where(revocations.c.seq.in_(lifted)))
    return True


def _about(transaction: Transaction, entry: EntryDraft, what: Revoked, lifts: Sequence[int]) -> EntryDraft:
    """The entry with whose tokens it is about, as a pseudonym, and which entries it puts out of force."""
    entry = by_whom(transaction, entry)
    subject = _pseudonym(transaction, what)
    numbers: list[Scalar] = [*lifts]
    data: Data = {**entry.data, "lifts": numbers, "subject": subject}
    return replace(entry, data=data, subjects={**entry.subjects, "revoked": subject})


def _pseudonym(transaction: Transaction, what: Revoked) -> str:
    """Of whose tokens these are: "" for one token, of which nobody says whose it is."""
    if what.by is not RevokedBy.SUBJECT:
        return ""
    known = {found.pseudonym for _, found in _in_force(transaction) if found.what.issuer == what.issuer}
    return what.value if what.value in known else transaction.pseudonym((what.issuer, what.value))


def read(reader: Reader, known: str) -> RevocationsRead | None:
    """What is in force, unless the table is as it was at the version that is known."""
    found = reader.read(select(func.count().label("size"), func.max(revocations.c.seq).label("last"))).one()
    version = f"{found.size}/{found.last or 0}"
    if version == known:
        return None
    return RevocationsRead(version, in_order([revocation for _, revocation in _in_force(reader)]))


def _of(transaction: Transaction, what: Revoked) -> list[int]:
    """The numbers of the entries by which these tokens are withdrawn now: one, or none."""
    subject = _pseudonym(transaction, what)
    return [
        sequence
        for sequence, found in _in_force(transaction)
        if (found.what == what and not found.is_damaged)
        or (subject and (found.what.issuer, found.pseudonym) == (what.issuer, subject))
    ]


def _in_force(reader: Reader) -> Iterator[tuple[int, Revocation]]:
    for row, entry, payloads in _told(reader):
        if not _is_over(reader, row, entry):
            yield row.seq, _revocation(row, entry, payloads)


def _told(reader: Reader) -> Iterator[tuple[_Row, ReadEntry | None, Mapping[bytes, bytes | None]]]:
    """All rows, each with the entry that made it, None where that is damaged, and with payloads."""
    columns = revocations.c
    found = reader.read(select(columns.seq, columns.until, columns.at))
    rows = [_Row(row.seq, row.until, row.at) for row in found]
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        stored = reader.read(select(*SOUND).where(entries.c.seq.in_([row.seq for row in some])))
        sound_ones = [entry for row in stored if row.body and (entry := sound(row)) is not None]
        told = {entry.sequence: entry for entry in sound_ones if entry.kind == Kind.TOKEN_REVOKED}
        references = {ref.digest for entry in told.values() for ref in entry.payloads.values()}
        payloads = shown_payloads(reader, references)
        yield from ((row, told.get(row.seq), payloads) for row in some)


def _is_over(reader: Reader, row: _Row, entry: ReadEntry | None) -> bool:
    """Whether it has run out, as its entry says: a damaged row ends no withdrawal."""
    until = row.until if entry is None else _until(entry)
    return isinstance(until, int) and until <= reader.now


def _until(entry: ReadEntry) -> int | None:
    until = entry.data.get("until")
    return int(until) * 1_000_000 if isinstance(until, int) else None


def _revocation(row: _Row, entry: ReadEntry | None, payloads: Mapping[bytes, bytes | None]) -> Revocation:
    try:
        if entry is None:
            raise ValueError("what it is about cannot be read")
        return _read(row, entry, payloads)
    except DAMAGE:
        issuer = "" if entry is None else entry.data.get("issuer")
        what = Revoked(issuer if isinstance(issuer, str) else "", RevokedBy.TOKEN, "")
        end = row.until if entry is None else _until(entry)
        until = seconds(end) if isinstance(end, int) else None
        at = seconds(row.at) if isinstance(row.at, int) else 0.0
        number = row.seq if isinstance(row.seq, int) else 0
        return Revocation(what, until, f"{DAMAGED_REASON} {row.seq}", "", at, entry=number, is_damaged=True)


def _read(row: _Row, entry: ReadEntry, payloads: Mapping[bytes, bytes | None]) -> Revocation:
    bodies = {name: payloads[ref.digest] for name, ref in entry.payloads.items() if ref.digest in payloads}
    subject, by = entry.data.get("subject", ""), RevokedBy(entry.data["by"])
    if not isinstance(subject, str):
        raise TypeError("a pseudonym is a text")
    if subject and bodies.get("revoked") is None:
        # Without its payload, which went with its subject or is damaged, the pseudonym tells whose they are.
        value = reason = ""
    else:
        revoked = json.loads(bodies["revoked"] or b"")
        value, reason = revoked["value"], revoked["reason"]
        if not (isinstance(value, str) and value):
            raise ValueError("it names no token and nobody")
    end = _until(entry)
    until = None if end is None else seconds(end)
    what = Revoked(entry.data["issuer"], by, value)
    return Revocation(what, until, str(reason), _operator(bodies), seconds(row.at), subject, entry.sequence)


def _operator(bodies: Mapping[str, bytes | None]) -> str:
    """Who did it: "" where that is gone or damaged, which no withdrawal counts less for."""
    with suppress(*DAMAGE):
        operator = json.loads(bodies["operator"] or b"")
        return str(operator.get("person") or operator["subject"])
    return ""
