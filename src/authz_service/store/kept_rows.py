"""Whose the results are that model servers keep: a row for each name of each entry that says so.

What two were given under one name is nobody's, and stays so when one of them is forgotten: their row stays
then, with nobody in it, for as long as another has that name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, delete, func, not_, select, update

from authz_service.audit.forgotten import Erasure
from authz_service.store.schema import kept_results
from authz_service.store.transaction import Reader, Transaction

NOBODY = ""
AT_ONCE = 400  # SQLite bounds the parameters of a statement
ROWS_AT_ONCE = 1000
"""How many rows of a person go in one transaction at most, and what more the entry of the last one has."""

Which = Callable[[FromClause], ColumnElement[bool]]
"""A condition on rows, of the table or of another name for it."""


def owned(reader: Reader, names: Collection[str], owner: str) -> bool:
    """See `KeptStore.owned`."""
    if owner == NOBODY:
        return False
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
    """Take the rows of these entries."""
    for start in range(0, len(sequences), AT_ONCE):
        _take(transaction, _of(sequences[start : start + AT_ONCE]))


def take_person(transaction: Transaction, erasure: Erasure, most: int) -> int:
    """Take the next of what was theirs when the erasure was ordered, about `most` rows: how many, 0 when all
    are gone."""
    few = min(most, ROWS_AT_ONCE)
    for subject in sorted(erasure.subjects - {NOBODY}):
        theirs = (kept_results.c.owner == subject) & (kept_results.c.seq < erasure.ordered)
        query = select(kept_results.c.seq).where(theirs).order_by(kept_results.c.seq).limit(few)
        if found := transaction.read(query).scalars().all():
            _take_up_to(transaction, erasure, subject, last=found[-1])
            return len(found)
    return 0


def _of(sequences: Sequence[int]) -> Which:
    return lambda row: row.c.seq.in_(sequences)


def _take_up_to(transaction: Transaction, erasure: Erasure, subject: str, *, last: int) -> None:
    _take(
        transaction,
        lambda row: (row.c.owner == subject) & (row.c.seq <= last),
        going=lambda row: row.c.owner.in_(sorted(erasure.subjects)) & (row.c.seq < erasure.ordered),
    )


def _take(transaction: Transaction, gone: Which, *, going: Which | None = None) -> None:
    """Delete these rows, but for those whose name another has; `going` are they, and what goes after them."""
    going = going or gone
    touched, other = kept_results.alias(), kept_results.alias()
    stays = (other.c.name == kept_results.c.name) & (other.c.owner != NOBODY) & ~going(other)
    # Asked of each row, by the index of names: PostgreSQL would read the whole table for EXISTS.
    one = select(other.c.seq).where(stays).limit(1)
    is_had = one.scalar_subquery().is_not(None)
    is_anothers = one.where(other.c.owner != kept_results.c.owner).scalar_subquery().is_not(None)
    names = select(touched.c.name).where(gone(touched))
    is_nobodys = kept_results.c.owner == NOBODY
    # Nobody's row outlives no other of its name: it says only that others had it too.
    transaction.change(delete(kept_results).where(is_nobodys, kept_results.c.name.in_(names), not_(is_had)))
    transaction.change(update(kept_results).where(gone(kept_results), is_anothers).values(owner=NOBODY))
    transaction.change(delete(kept_results).where(gone(kept_results), ~is_nobodys))
