"""Withdrawn tokens as rows: each change is committed with its entry, which says whose tokens they are.

The row has only which entry is in force and until when. Names lie sealed, with the entry's payloads: whose
tokens they are under that person's own key, so that an erasure takes it. The pseudonym in the entry stays,
and by it the withdrawal goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select

from authz_service.audit.draft import Data, EntryDraft, Scalar
from authz_service.audit.entry import ReadEntry, decode
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked, RevokedBy, in_order
from authz_service.errors import Unavailable
from authz_service.store.api_key_rows import by_whom
from authz_service.store.column_texts import seconds
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries, revocations
from authz_service.store.transaction import Reader, Transaction

AT_ONCE = 400  # SQLite bounds the parameters of a statement


class _Row(NamedTuple):
    seq: int
    until: int | None
    at: int


def revoke(transaction: Transaction, revocation: Revocation, entry: EntryDraft) -> None:
    """Add or replace; what has run out goes meanwhile."""
    replaced = _of(transaction, revocation.what)
    recorded = transaction.record(_about(transaction, entry, revocation.what, replaced))
    over = revocations.c.until <= transaction.now
    transaction.change(delete(revocations).where(over | revocations.c.seq.in_(replaced)))
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
        if found.what == what or (subject and (found.what.issuer, found.pseudonym) == (what.issuer, subject))
    ]


def _in_force(reader: Reader) -> Iterator[tuple[int, Revocation]]:
    columns = revocations.c
    found = reader.read(select(columns.seq, columns.until, columns.at))
    rows = [_Row(row.seq, row.until, row.at) for row in found]
    rows = [row for row in rows if row.until is None or row.until > reader.now]
    for start in range(0, len(rows), AT_ONCE):
        some = {row.seq: row for row in rows[start : start + AT_ONCE]}
        query = select(entries.c.body).where(entries.c.seq.in_(some))
        told = [decode(bytes(body)) for body in reader.read(query).scalars()]
        if len(told) < len(some):
            raise _damaged()
        yield from ((entry.sequence, made) for entry, made in _read(reader, told, some))


def _read(
    reader: Reader, told: Sequence[ReadEntry], rows: dict[int, _Row]
) -> Iterator[tuple[ReadEntry, Revocation]]:
    opened = read_payloads(reader, {ref.digest for entry in told for ref in entry.payloads.values()})
    for entry in told:
        try:
            payloads = {
                name: json.loads(opened[ref.digest].body)
                for name, ref in entry.payloads.items()
                if ref.digest in opened
            }
            subject = entry.data.get("subject", "")
            # Without its payload, which went with its subject or its operator, an entry names pseudonyms.
            revoked = payloads.get("revoked", {"value": "", "reason": ""} if subject else {})
            what = Revoked(entry.data["issuer"], RevokedBy(entry.data["by"]), revoked["value"])
            reason, operator = revoked["reason"], payloads.get("operator", {"subject": ""})
            name = operator.get("person") or operator["subject"]
        except (KeyError, ValueError) as error:
            raise _damaged() from error
        row = rows[entry.sequence]
        until = None if row.until is None else seconds(row.until)
        yield entry, Revocation(what, until, reason, name, seconds(row.at), subject)


def _damaged() -> Unavailable:
    """Without it nobody could tell which tokens count: nothing passes."""
    return Unavailable("what the record says of withdrawn tokens is damaged", code="record_damaged")
