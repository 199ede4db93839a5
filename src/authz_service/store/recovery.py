"""After a crash: an entry for each session of this process that has no end on record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, or_, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.store.schema import entries, sessions
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Transaction

log = structlog.get_logger(__name__)

RECOVERED_AT_ONCE = 128
NOT_KNOWN = "not known"
"""In the place of whether something was released, where an entry that may tell it cannot be read."""


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
    rows = transaction.read(select(*SOUND).where(entries.c.session == session)).all()
    read = [(row, sound(row)) for row in rows]
    if damaged := sorted(row.seq for row, entry in read if entry is None and row.body):
        log.error("session.damaged", session=session, entries=damaged)
    kinds = {None if entry is None else entry.kind for _, entry in read}

    def has(kind: Kind) -> Scalar:
        return True if kind.value in kinds else NOT_KNOWN if None in kinds else False

    return {"request_released": has(Kind.REQUEST_RELEASED), "answer_released": has(Kind.ANSWER_RELEASED)}
