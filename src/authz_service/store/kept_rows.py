"""Whose the results are that model servers keep: a row for each name of each entry that says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, func, select

from authz_service.audit.forgotten import Erasure
from authz_service.store.schema import kept_results
from authz_service.store.transaction import Reader, Transaction

AT_ONCE = 400  # SQLite bounds the parameters of a statement


def owned(reader: Reader, names: Collection[str], owner: str) -> bool:
    """See `KeptStore.owned`."""
    wanted = sorted(set(names))
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        is_theirs = kept_results.c.owner == owner
        query = (
            select(func.count().filter(is_theirs), func.count().filter(~is_theirs))
            .where(kept_results.c.name.in_(some))
            .group_by(kept_results.c.name)
        )
        found: Sequence[Any] = reader.read(query).all()
        if len(found) < len(some) or any(not mine or others for mine, others in found):
            return False
    return True


def take_entries(transaction: Transaction, sequences: Sequence[int]) -> None:
    """Delete the rows of these entries."""
    for start in range(0, len(sequences), AT_ONCE):
        some = sequences[start : start + AT_ONCE]
        transaction.change(delete(kept_results).where(kept_results.c.seq.in_(some)))


def take_person(transaction: Transaction, erasure: Erasure) -> None:
    """Delete what was theirs when the erasure was ordered."""
    theirs = kept_results.c.owner.in_(sorted(erasure.subjects)) & (kept_results.c.seq < erasure.ordered)
    transaction.change(delete(kept_results).where(theirs))
