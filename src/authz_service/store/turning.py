"""What happens to the stages of a hold by itself, put on record when it is due.

Who may vote follows from the time alone, on record or not: this tells those who watch, and auditors.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.holds import Pending, Timed, Turn
from authz_service.core.ports import HoldState
from authz_service.store.column_texts import micro, stage_text
from authz_service.store.ending import move
from authz_service.store.hold_rows import bytes_held
from authz_service.store.loading import hold_with_id, standing_of
from authz_service.store.schema import holds
from authz_service.store.transaction import Transaction

TURNED_AT_ONCE = 256

_KINDS = {Turn.REMINDED: Kind.HOLD_REMINDED, Turn.ESCALATED: Kind.HOLD_ESCALATED}


def take_all(transaction: Transaction) -> int:
    """Take the turns that are due, the oldest first, of at most 256 holds; how many these were."""
    is_due = (holds.c.turn_at <= transaction.now) & (holds.c.deadline > transaction.now)
    query = select(holds).where(is_due).order_by(holds.c.turn_at).limit(TURNED_AT_ONCE)
    due = transaction.read(query).all()
    return sum(take(transaction, row).version != row.version for row in due)


def take(transaction: Transaction, row: Row[Any]) -> Row[Any]:
    """Take the turns of one hold that are due; the row afterwards."""
    if row.state != HoldState.PENDING.value or row.turn_at is None or row.turn_at > transaction.now:
        return row
    stands = standing_of(transaction, row)
    if not isinstance(stands, Pending):
        return row
    due = [
        index for index, turn in enumerate(stands.turns) if row.turn_at <= micro(turn.at) <= transaction.now
    ]
    if not due:
        raise RuntimeError(f"hold {row.id} has a turn that is none of its stages'")
    for index in due:
        later = stands.turns[index + 1 : index + 2]
        recorded = transaction.record(_entry(row, stands.turns[index]))
        move(transaction, row, recorded.last, {"turn_at": micro(later[0].at) if later else None})
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
