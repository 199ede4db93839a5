"""How long pending holds have waited, in numbers: for who watches over the reviewers, not for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import case, func, select

from authz_service.core.ports import HoldState
from authz_service.store.column_texts import micro, seconds
from authz_service.store.queries import read_as
from authz_service.store.schema import holds
from authz_service.store.transaction import Reader


@dataclass(frozen=True, slots=True)
class HoldAges:
    """How many pending holds are of each age, and for how many seconds the oldest has waited (0 for none).

    `counts` has one number for each bound, of those that are younger than it and not than the one before, and
    a last one of the others.
    """

    counts: tuple[int, ...]
    oldest: float


def hold_ages(reader: Reader, bounds: Sequence[float]) -> HoldAges:
    """By these bounds in seconds, in order."""
    opened = holds.c.created_at
    younger = [
        func.coalesce(func.sum(case((opened > reader.now - micro(bound), 1), else_=0)), 0) for bound in bounds
    ]
    question = select(func.count(), func.min(opened), *younger)
    found = tuple(reader.read_beside(question.where(read_as([HoldState.PENDING], reader.now))).one())
    total, first, up_to = found[0], found[1], found[2:]
    counts = tuple(after - before for before, after in pairwise([0, *map(int, up_to), int(total)]))
    return HoldAges(counts, 0.0 if first is None else seconds(reader.now - first))
