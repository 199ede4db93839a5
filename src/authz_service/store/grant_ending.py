"""Revoking a grant, and ending what runs under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.columns import KILLING
from authz_service.audit.draft import EntryDraft, Scalar
from authz_service.core.grants import Grant, GrantState, Maker
from authz_service.core.stored_grants import GrantEnd
from authz_service.errors import Unavailable
from authz_service.store.damage import reading
from authz_service.store.grant_acting import Act, ended_before, keep_act, refuse_ended
from authz_service.store.grant_origin import recorded_origin
from authz_service.store.grant_rows import REVOKE, grant_with_id, read_grant, said_of, state_at
from authz_service.store.live_sessions import kill
from authz_service.store.schema import grant_uses, sessions
from authz_service.store.spending import change_grant
from authz_service.store.transaction import Transaction

KilledBy = Callable[[str], EntryDraft]


def revoke(
    transaction: Transaction, grant_id: str, *, by: Maker, killed: KilledBy | None, act_id: str
) -> GrantEnd:
    """See `GrantStore.revoke_grant`; `killed` makes the entry for a session that is to end.

    What has ended by itself may still have exchanges that run: these can be ended later too. Nothing of the
    grant has to be sound for that but its row, nor of its hold.
    """
    row = grant_with_id(transaction, grant_id)
    ended = ended_before(transaction, row, is_kill=killed is not None, by=by)
    if ended is not None:
        return GrantEnd(_as_it_is(transaction, row), ended)
    running = () if killed is None else _running(transaction, row.id)
    if not running:
        _refuse_ended(transaction, row)
    if running or row.state != GrantState.REVOKED.value:
        act = Act(act_id, REVOKE, by, killed=None if killed is None else running)
        told = {} if killed is None else {"killed": list[Scalar](running)}
        origin = recorded_origin(transaction, row)
        seq = keep_act(transaction, row, origin, act, {"ends": len(running), **told})
        change_grant(transaction, row, seq, {"state": GrantState.REVOKED.value})
    for session in running:
        if killed is not None:
            kill(transaction, session, killed(session))
    return GrantEnd(_as_it_is(transaction, grant_with_id(transaction, row.id)), running)


def _refuse_ended(transaction: Transaction, row: Row[Any]) -> None:
    """Raise `Conflict` for what has ended; of one that cannot be read nobody can say that it has."""
    try:
        with reading(f"grant {row.id}"):
            state, said = state_at(row, transaction.now), said_of(transaction, row.id)
    except Unavailable:
        return
    refuse_ended(row, state, said)


def _as_it_is(transaction: Transaction, row: Row[Any]) -> Grant | None:
    try:
        return read_grant(transaction, row)
    except Unavailable:
        return None


def _running(transaction: Transaction, grant: str) -> tuple[str, ...]:
    """The sessions that it let through and that nobody has ended."""
    query = (
        select(grant_uses.c.session)
        .join(sessions, sessions.c.id == grant_uses.c.session)
        .where(grant_uses.c.grant_id == grant, sessions.c.ended_at.is_(None), sessions.c.status != KILLING)
        .order_by(grant_uses.c.number)
    )
    return tuple(transaction.read(query).scalars().all())
