"""What happens to the stages of a hold by itself, put on record when it is due.

Who may vote follows from the time alone, on record or not: this tells those who watch, and auditors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import structlog
from sqlalchemy import Row, Select, select, tuple_

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.holds import Pending, Timed, Turn
from authz_service.core.ports import HoldState
from authz_service.errors import Unavailable
from authz_service.store.column_texts import micro, stage_text
from authz_service.store.damage import reading
from authz_service.store.ending import move
from authz_service.store.hold_rows import bytes_held
from authz_service.store.loading import hold_with_id, standing_of
from authz_service.store.schema import holds
from authz_service.store.transaction import Reader, Transaction

log = structlog.get_logger(__name__)

TURNED_AT_ONCE = 256

_KINDS = {Turn.REMINDED: Kind.HOLD_REMINDED, Turn.ESCALATED: Kind.HOLD_ESCALATED}


def take_all(transaction: Transaction, named: set[str]) -> int:
    """Take the turns that are due, the oldest first, of at most 256 holds; how many these were.

    A hold that cannot be read takes none, and keeps no other from it. The log names it once: `named` are
    those that it has named.
    """
    passed: tuple[int, str] | None = None
    while True:
        rows = transaction.read(_due(transaction.now, passed)).all()
        taken = sum(_take_or_pass_over(transaction, row, named) for row in rows)
        if taken or len(rows) < TURNED_AT_ONCE:
            return taken
        passed = rows[-1].turn_at, rows[-1].id


def _due(now: int, passed: tuple[int, str] | None) -> Select[Any]:
    """The holds with a turn that is due, after those that were passed over."""
    order = (holds.c.turn_at, holds.c.id)
    query = select(holds).where(holds.c.turn_at <= now, holds.c.deadline > now)
    if passed is not None:
        query = query.where(tuple_(*order) > passed)
    return query.order_by(*order).limit(TURNED_AT_ONCE)


def _take_or_pass_over(transaction: Transaction, row: Row[Any], named: set[str]) -> bool:
    try:
        turns = due_turns(transaction, row)
    except Unavailable as damage:
        if row.id not in named:
            named.add(row.id)
            log.error("hold.damaged", hold=row.id, error=type(damage.__cause__).__name__)
        return False
    record_turns(transaction, row, turns)
    return bool(turns)


def take(transaction: Transaction, row: Row[Any]) -> Row[Any]:
    """Take the turns of one hold that are due; the row afterwards. Raises as `due_turns`."""
    return record_turns(transaction, row, due_turns(transaction, row))


def due_turns(reader: Reader, row: Row[Any]) -> Sequence[tuple[Timed, int | None]]:
    """The turns of one hold that are due, each with when the next one is.

    Raises `Unavailable` (`record_damaged`) where the hold cannot be read, or has a turn of no stage of its.
    """
    if row.state != HoldState.PENDING.value or row.turn_at is None or row.turn_at > reader.now:
        return ()
    stands = standing_of(reader, row)
    if not isinstance(stands, Pending):
        return ()
    with reading(f"hold {row.id}"):
        due = [
            (timed, None if later is None else micro(later.at))
            for timed, later in zip_longest(stands.turns, stands.turns[1:])
            if row.turn_at <= micro(timed.at) <= reader.now
        ]
        if not due:
            raise ValueError("this turn is none of its stages'")
    return due


def record_turns(
    transaction: Transaction, row: Row[Any], turns: Sequence[tuple[Timed, int | None]]
) -> Row[Any]:
    """Put these on record, in order; the row afterwards."""
    for timed, later in turns:
        recorded = transaction.record(_entry(row, timed))
        move(transaction, row, recorded.last, {"turn_at": later})
        row = hold_with_id(transaction, row.id)
    return row


def _entry(row: Row[Any], turn: Timed) -> EntryDraft:
    data: dict[str, Scalar] = {
        "hold": row.id,
        "digest": bytes_held(row),
        "stage": stage_text(turn.stage),
        "due": rfc3339(micro(turn.at)),
        "deadline": rfc3339(row.deadline),
    }
    return EntryDraft(_KINDS[turn.turn], row.session, data)
