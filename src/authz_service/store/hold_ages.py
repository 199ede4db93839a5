"""How long holds have waited for people, in numbers: for who watches over the reviewers, not for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import case, func, select, text

from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import micro, seconds
from authz_service.store.queries import read_as
from authz_service.store.schema import TO_REVIEW, holds, votes
from authz_service.store.transaction import Reader


@dataclass(frozen=True, slots=True)
class HoldAges:
    """How many pending holds are of each age, and for how many seconds the oldest has waited (0 for none).

    `counts` has one number for each bound, of those that are younger than it and not than the one before, and
    a last one of the others. `to_review` are those that were decided alone and wait for their review, the
    oldest since `longest_to_review` seconds (0 for none).
    """

    counts: tuple[int, ...]
    oldest: float
    to_review: int = 0
    longest_to_review: float = 0.0


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
    return HoldAges(counts, _since(reader, first), *_to_review(reader))


def _to_review(reader: Reader) -> tuple[int, float]:
    """How many wait for their review, and how long the oldest does: since its last vote, which decided it."""
    decided = select(func.max(votes.c.at)).where(votes.c.hold == holds.c.id).scalar_subquery()
    question = select(func.count(), func.min(decided)).select_from(holds)
    found = tuple(reader.read_beside(question.where(text(TO_REVIEW))).one())  # as the index has it
    return int(found[0]), _since(reader, found[1])


def _since(reader: Reader, at: object) -> float:
    """0 too for what is no time: a damaged row (SQLite takes any) costs its own number, and no page."""
    return seconds(reader.now - at) if isinstance(at, int) else 0.0
