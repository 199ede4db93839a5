"""Withdrawn tokens as rows: each change is committed with its entry."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select

from authz_service.audit.draft import EntryDraft
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked, RevokedBy, in_order
from authz_service.store.hold_rows import seconds
from authz_service.store.schema import revocations
from authz_service.store.transaction import Reader, Transaction


def revoke(transaction: Transaction, revocation: Revocation, entry: EntryDraft) -> None:
    """Add or replace; what has run out goes meanwhile."""
    recorded = transaction.record(entry)
    over = revocations.c.until <= transaction.now
    transaction.change(delete(revocations).where(over | _is(revocation.what)))
    what = revocation.what
    row = {
        "issuer": what.issuer,
        "by": what.by.value,
        "value": what.value,
        # Whole seconds, as the entry has it: whoever verifies the record derives this row from it.
        "until": None if revocation.until is None else int(revocation.until) * 1_000_000,
        "at": transaction.now,
        "seq": recorded.last,
        "detail": json.dumps({"reason": revocation.reason, "name": revocation.name}),
    }
    transaction.change(insert(revocations).values(row))


def restore(transaction: Transaction, what: Revoked, entry: EntryDraft) -> bool:
    """Lift one that is in force."""
    in_force = revocations.c.until.is_(None) | (revocations.c.until > transaction.now)
    if transaction.read(select(revocations.c.seq).where(_is(what), in_force)).one_or_none() is None:
        return False
    transaction.record(entry)
    transaction.change(delete(revocations).where(_is(what)))
    return True


def read(reader: Reader, known: str) -> RevocationsRead | None:
    """What is in force, unless the table is as it was at the version that is known."""
    found = reader.read(select(func.count().label("size"), func.max(revocations.c.seq).label("last"))).one()
    version = f"{found.size}/{found.last or 0}"
    if version == known:
        return None
    rows = reader.read(select(revocations)).all()
    items = [_read(row) for row in rows if row.until is None or row.until > reader.now]
    return RevocationsRead(version, in_order(items))


def _is(what: Revoked) -> ColumnElement[bool]:
    columns = revocations.c
    return and_(columns.issuer == what.issuer, columns.by == what.by.value, columns.value == what.value)


def _read(row: Row[Any]) -> Revocation:
    detail = json.loads(row.detail)
    what = Revoked(row.issuer, RevokedBy(row.by), row.value)
    until = None if row.until is None else seconds(row.until)
    return Revocation(what, until, detail["reason"], detail["name"], seconds(row.at))
