"""After a crash: an entry for each session of this instance that has no end on record."""

from __future__ import annotations

from sqlalchemy import select

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import decode
from authz_service.store.schema import entries, sessions
from authz_service.store.transaction import Transaction

RECOVERED_AT_ONCE = 128


def recover(transaction: Transaction, *, instance: str, up_to: int) -> int:
    """End sessions that began at or before entry `up_to`, at most 128; how many there were.

    The entry says what the record shows to have been released, and by its kind that it is not
    known how much of it arrived.
    """
    query = (
        select(sessions.c.id)
        .where(sessions.c.instance == instance, sessions.c.ended_at.is_(None), sessions.c.seq <= up_to)
        .order_by(sessions.c.seq)
        .limit(RECOVERED_AT_ONCE)
    )
    unended = transaction.read(query).scalars().all()
    for session in unended:
        transaction.record(EntryDraft(Kind.EXCHANGE_RECOVERED, session, _known(transaction, session)))
    return len(unended)


def _known(transaction: Transaction, session: str) -> dict[str, Scalar]:
    query = select(entries.c.body).where(entries.c.session == session)
    kinds = {decode(bytes(body)).kind for body in transaction.read(query).scalars()}
    return {
        "request_released": Kind.REQUEST_RELEASED.value in kinds,
        "answer_released": Kind.ANSWER_RELEASED.value in kinds,
    }
