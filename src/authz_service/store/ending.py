"""How an open hold ends: released to an exchange, expired, superseded, settled by the rules, or killed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row, bindparam, select, update

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.holds import Approved
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Unavailable
from authz_service.store.damage import reading, require_text
from authz_service.store.hold_rows import bytes_held
from authz_service.store.hold_standing import OPEN, state_at
from authz_service.store.loading import find_hold, standing_of, summary_of
from authz_service.store.schema import holds, sessions
from authz_service.store.sweeping import due
from authz_service.store.taking_up import append_again, require_ours, status_of_ours
from authz_service.store.transaction import Transaction

log = structlog.get_logger(__name__)

REFUSED, RELEASED = "refused", "released"
"""What the rules made of the session by which a hold was superseded."""

_WAITING = ("held", "open")
"""How a session stands that waits for its hold; `open` where it was taken up and is judged again.

One that is to end does not, nor does one that was let through and of which the answer is under way.
"""

_MOVE = update(holds).where(
    holds.c.id == bindparam("was_id"),
    holds.c.version == bindparam("was_version"),
    holds.c.state == bindparam("was_state"),
)


def consume(
    transaction: Transaction, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
) -> bool:
    """Release an approved hold to `session`, once; False, and nothing done, when it cannot be.

    The row's state is not believed by itself: the votes must say the same.
    """
    if not entries:
        raise ValueError("a release is on record, or it is none")
    row = find_hold(transaction, hold_id)
    if row is None or row.state != HoldState.APPROVED.value:
        return False
    with reading(f"hold {row.id}"):
        is_other = row.deadline <= transaction.now or row.digest != digest
    if is_other or not is_approved(transaction, row):
        return False
    require_ours(transaction, session)
    recorded = transaction.record(*entries)
    values = {"state": HoldState.RELEASED.value, "released_to": session}
    return move(transaction, row, recorded.last, values)


def is_approved(transaction: Transaction, row: Row[Any]) -> bool:
    """Whether the votes on record, all on the hold's own bytes, satisfy what it asks for."""
    return isinstance(standing_of(transaction, row), Approved)


def expire_overdue(transaction: Transaction, named: set[str]) -> int:
    """Expire the holds that are overdue, the oldest first, at most 256; how many there were.

    See `sweeping.due` for those that cannot be read, and `named`.
    """
    is_open = holds.c.state.in_([state.value for state in OPEN])
    wanted = is_open & (holds.c.deadline <= transaction.now)
    total = 0
    for row, draft in due(transaction, holds.c.deadline, wanted, _expired, named):
        _expire(transaction, row, draft)
        total += 1
    return total


def expire(transaction: Transaction, row: Row[Any]) -> None:
    """Give an overdue hold its final state, with an entry that says in which state it was overdue.

    Raises `Unavailable` (`record_damaged`) where that cannot be said.
    """
    _expire(transaction, row, _expired(row))


def _expired(row: Row[Any]) -> EntryDraft:
    with reading(f"hold {row.id}"):
        data: dict[str, Scalar] = {
            "hold": row.id,
            "digest": bytes_held(row),
            "state": row.state,
            "deadline": rfc3339(row.deadline),
        }
        return EntryDraft(Kind.HOLD_EXPIRED, row.session, data)


def _expire(transaction: Transaction, row: Row[Any], draft: EntryDraft) -> None:
    recorded = transaction.record(draft)
    move(transaction, row, recorded.last, {"state": HoldState.EXPIRED.value})


def supersede(transaction: Transaction, row: Row[Any], *, by: str, why: str = "") -> None:
    """End an open hold in the place of which something else is there: a hold, or a grant.

    Or what became of a session, which `why` says. Where the row does not tell whose it was, the entry is
    nobody's.
    """
    session = row.session if isinstance(row.session, str) else None
    data: dict[str, Scalar] = {"hold": row.id, "by": by, "state": row.state}
    data |= {"why": why} if why else {}
    recorded = transaction.record(EntryDraft(Kind.HOLD_SUPERSEDED, session, data))
    move(transaction, row, recorded.last, {"state": HoldState.SUPERSEDED.value})


def kill_hold(transaction: Transaction, hold_id: str, *, session: str) -> None:
    """Close the hold that a session waits in, which an operator ended, unless others wait in it too.

    One that cannot be read stays as it is, and the log names it: the session ends all the same.
    """
    row = find_hold(transaction, hold_id)
    if row is None:
        return
    try:
        with reading(f"hold {row.id}"):
            state, digest = state_at(row, transaction.now), bytes_held(row)
            require_text(row.session)
    except Unavailable as damage:
        _name(row, damage)
        return
    if state not in OPEN or _others_wait(transaction, hold_id, session):
        return
    data: dict[str, Scalar] = {"hold": row.id, "digest": digest, "state": row.state}
    recorded = transaction.record(EntryDraft(Kind.HOLD_KILLED, row.session, data))
    move(transaction, row, recorded.last, {"state": HoldState.KILLED.value})


def settle(transaction: Transaction, drafts: Sequence[EntryDraft], hold_id: str, *, session: str) -> None:
    """See `Store.settle`. A hold that cannot be read stays as it is, and the log names it."""
    is_refused = any(draft.kind is Kind.REQUEST_REFUSED for draft in drafts)
    if is_refused:
        status_of_ours(transaction, session)
    else:
        require_ours(transaction, session)
    append_again(transaction, drafts)
    row = find_hold(transaction, hold_id)
    if row is None or _others_wait(transaction, hold_id, session):
        return
    try:
        state = summary_of(transaction, row).state
    except Unavailable as damage:
        _name(row, damage)
        return
    if state is HoldState.PENDING or (state is HoldState.APPROVED and not is_refused):
        supersede(transaction, row, by=session, why=REFUSED if is_refused else RELEASED)


def _name(row: Row[Any], damage: Unavailable) -> None:
    log.error("hold.damaged", hold=row.id, error=type(damage.__cause__).__name__)


def _others_wait(transaction: Transaction, hold_id: str, session: str) -> bool:
    others = (sessions.c.hold == hold_id) & (sessions.c.id != session) & sessions.c.status.in_(_WAITING)
    unended = sessions.c.ended_at.is_(None)  # leads to the index
    return transaction.read(select(sessions.c.id).where(others & unended).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Move:
    """New values for the row of a hold as it was found, by the entry `seq`."""

    row: Row[Any]
    seq: int
    values: Mapping[str, Any]

    def parameters(self) -> dict[str, Any]:
        """What the statement takes."""
        row, new = self.row, {**self.values, "version": self.row.version + 1, "changed": self.seq}
        if new.get("state", row.state) != HoldState.PENDING.value:
            new["turn_at"] = None
        return {**new, "was_id": row.id, "was_version": row.version, "was_state": row.state}


def move(transaction: Transaction, row: Row[Any], seq: int, values: Mapping[str, Any]) -> bool:
    """Compare and set; True, since a row that changed within our transaction is a fault of ours."""
    move_all(transaction, [Move(row, seq, values)])
    return True


def move_all(transaction: Transaction, moves: Iterable[Move]) -> None:
    """The same for several holds, with one statement for all that change in the same columns."""
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in moves:
        parameters = one.parameters()
        shapes.setdefault(tuple(parameters), []).append(parameters)
        transaction.changed_holds.add(one.row.id)
    for rows in shapes.values():
        if transaction.change(_MOVE, rows) != len(rows):
            names = ", ".join(row["was_id"] for row in rows)
            raise RuntimeError(f"{names} changed within a transaction that no other interleaves with")
