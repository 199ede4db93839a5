"""What happens to the stages of a hold by itself, put on record when it is due.

Who may vote follows from the time alone, on record or not: this tells those who watch, and auditors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import Row

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.holds import Pending, Timed, Turn
from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import micro, stage_text
from authz_service.store.damage import reading
from authz_service.store.ending import move
from authz_service.store.hold_rows import bytes_held
from authz_service.store.loading import hold_with_id, standing_of
from authz_service.store.schema import holds
from authz_service.store.sweeping import due
from authz_service.store.transaction import Reader, Transaction

_KINDS = {Turn.REMINDED: Kind.HOLD_REMINDED, Turn.ESCALATED: Kind.HOLD_ESCALATED}


def take_all(transaction: Transaction, named: set[str]) -> int:
    """Take the turns that are due, the oldest first, of at most 256 holds; how many these were.

    See `sweeping.due` for those that cannot be read, and `named`.
    """
    wanted = (holds.c.turn_at <= transaction.now) & (holds.c.deadline > transaction.now)
    found = due(transaction, holds.c.turn_at, wanted, lambda row: due_turns(transaction, row), named)
    taken = 0
    for row, turns in found:
        record_turns(transaction, row, turns)
        taken += bool(turns)
    return taken


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
        turns = [
            (timed, None if later is None else micro(later.at))
            for timed, later in zip_longest(stands.turns, stands.turns[1:])
            if row.turn_at <= micro(timed.at) <= reader.now
        ]
        if not turns:
            raise ValueError("this turn is none of its stages'")
    return turns


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
