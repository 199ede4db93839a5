"""Revoking a grant, and ending what runs under it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from authz_service.audit.draft import EntryDraft, Scalar
from authz_service.core.grants import GrantEnd, GrantState, Maker
from authz_service.store.grant_acting import Act, done_before, keep_act, killed_before, refuse_ended
from authz_service.store.grant_rows import (
    REVOKE,
    digest_of,
    grant_with_id,
    read_grant,
    said_of,
    state_at,
    terms_of,
)
from authz_service.store.live_sessions import kill
from authz_service.store.loading import hold_with_id
from authz_service.store.schema import grant_uses, sessions
from authz_service.store.spending import change_grant
from authz_service.store.taking_up import KILLING
from authz_service.store.transaction import Transaction

KilledBy = Callable[[str], EntryDraft]


def revoke(
    transaction: Transaction, grant_id: str, *, by: Maker, killed: KilledBy | None, act_id: str
) -> GrantEnd:
    """See `GrantStore.revoke_grant`; `killed` makes the entry for a session that is to end.

    What has ended by itself may still have exchanges that run: these can be ended later too.
    """
    row = grant_with_id(transaction, grant_id)
    digest = digest_of(terms_of(row)[0])
    before = done_before(transaction, row.hold, kind=REVOKE, digest=digest, by=by)
    if before is not None:
        ended = killed_before(transaction, row.hold, is_kill=killed is not None, by=by)
        return GrantEnd(read_grant(transaction, before), ended)
    state = state_at(row, transaction.now)
    running = () if killed is None else _running(transaction, row.id)
    if not running:
        refuse_ended(row, state, said_of(transaction, row.id))
    if running or row.state != GrantState.REVOKED.value:
        hold = hold_with_id(transaction, row.hold)
        act = Act(act_id, REVOKE, by, killed=None if killed is None else running)
        told = {} if killed is None else {"killed": list[Scalar](running)}
        seq = keep_act(transaction, row, hold, act, {"ends": len(running), **told})
        change_grant(transaction, row, seq, {"state": GrantState.REVOKED.value})
    for session in running:
        if killed is not None:
            kill(transaction, session, killed(session))
    return GrantEnd(read_grant(transaction, grant_with_id(transaction, row.id)), running)


def _running(transaction: Transaction, grant: str) -> tuple[str, ...]:
    """The sessions that it let through and that nobody has ended."""
    query = (
        select(grant_uses.c.session)
        .join(sessions, sessions.c.id == grant_uses.c.session)
        .where(grant_uses.c.grant_id == grant, sessions.c.ended_at.is_(None), sessions.c.status != KILLING)
        .order_by(grant_uses.c.number)
    )
    return tuple(transaction.read(query).scalars().all())
