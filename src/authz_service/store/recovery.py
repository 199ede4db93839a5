"""After a crash: an entry for each session of this process that has no end on record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import decode
from authz_service.store.schema import entries, sessions
from authz_service.store.transaction import Transaction

RECOVERED_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Heritage:
    """Whose sessions are found unended by whom. `own` is this process's instance.

    Where `of` is set, also those of processes that a service with that name once had and has no more: of
    `of` itself and of what begins with it and a hyphen, but for the `living`.
    """

    own: str
    of: str = ""
    living: Collection[str] = ()

    def sessions(self) -> ColumnElement[bool]:
        """The sessions that are this process's to recover."""
        own = sessions.c.instance == self.own
        if not self.of:
            return own
        named = or_(
            sessions.c.instance == self.of, sessions.c.instance.startswith(f"{self.of}-", autoescape=True)
        )
        return or_(own, named & sessions.c.instance.not_in(sorted(self.living)))


def recover(transaction: Transaction, *, heritage: Heritage, up_to: int) -> int:
    """End sessions that began at or before entry `up_to`, at most 128; how many there were.

    The entry says what the record shows to have been released, and by its kind that it is not
    known how much of it arrived.
    """
    query = (
        select(sessions.c.id)
        .where(heritage.sessions(), sessions.c.ended_at.is_(None), sessions.c.seq <= up_to)
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
