"""Taking up an exchange that Envoy sends again: from a process that died with it, into this one."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import ReadEntry, decode
from authz_service.core.sessions import TakenUp
from authz_service.errors import Conflict
from authz_service.store.schema import entries, sessions
from authz_service.store.transaction import Transaction

_HELD = frozenset({Kind.HOLD_OPENED.value, Kind.HOLD_ATTACHED.value})
_RELEASED = frozenset({Kind.REQUEST_RELEASED.value, Kind.ANSWER_RELEASED.value, Kind.REQUEST_REFUSED.value})
_RESUMED = Kind.EXCHANGE_RESUMED.value.encode()
_TOLD = frozenset({Kind.EXCHANGE_ENDED.value, Kind.EXCHANGE_RESUMED.value})
KILLING = "killing"
"""The status of an exchange that is to end."""
LEFT = "client_left"
"""What a process records whose stream broke, be it that Envoy lost the way to it, and asks another."""


# Made once: to make a statement takes longer than the database takes for it.
_OURS = select(sessions.c.instance, sessions.c.status).where(sessions.c.id == bindparam("session"))


def take_up(transaction: Transaction, session: str, stream: str) -> TakenUp:
    """See `LiveSessions.take_up`: one compare-and-set, as no other transaction interleaves."""
    query = select(entries.c.body).where(entries.c.session == session).order_by(entries.c.seq)
    found = [decode(bytes(body)) for body in transaction.read(query).scalars() if body]
    kinds = {entry.kind for entry in found}
    ended = {entry.data.get("outcome") for entry in found if entry.kind == Kind.EXCHANGE_ENDED.value}
    if kinds.isdisjoint(_HELD) or not kinds.isdisjoint(_RELEASED) or ended - {LEFT}:
        return TakenUp(is_recorded=bool(found), is_ours=False, has_ended=_has_ended(found))
    data = {"instance": transaction.instance, "stream": stream}
    transaction.record(EntryDraft(Kind.EXCHANGE_RESUMED, session, data))
    return TakenUp(is_recorded=True, is_ours=True)


def _has_ended(found: Sequence[ReadEntry]) -> bool:
    """Whether it ended, and was not taken up since."""
    told = [entry.kind for entry in found if entry.kind in _TOLD]
    return told[-1:] == [Kind.EXCHANGE_ENDED.value]


def require_ours(transaction: Transaction, session: str) -> None:
    """Raise `Conflict`: another process has taken this exchange up (`taken_up`), or an operator ended it.

    The order to end it (`session_killed`) may still be on its way to the process that has it.
    """
    if _status_of_ours(transaction, session) == KILLING:
        raise Conflict("an operator has ended this request", code="session_killed")


def _status_of_ours(transaction: Transaction, session: str) -> str | None:
    """None where it is not on record; raises `Conflict` (`taken_up`) where another process has it."""
    row = transaction.read_session(_OURS, session).one_or_none()
    if row is not None and row.instance not in (None, transaction.instance):
        raise Conflict("another process of the gateway has taken this request up", code="taken_up")
    return None if row is None else row.status


def append_own(transaction: Transaction, drafts: Sequence[EntryDraft], stream: str | None) -> None:
    """See `Store.append_own`."""
    for session in sorted({draft.session for draft in drafts if draft.session is not None}):
        _status_of_ours(transaction, session)
        if stream is not None and _stream_of(transaction, session) != stream:
            raise Conflict("another stream has taken this request up", code="taken_up")
    transaction.record(*drafts)


def _stream_of(transaction: Transaction, session: str) -> str:
    """The stream that took this up last; "" where the one that began it has it still."""
    query = select(entries.c.body).where(entries.c.session == session).order_by(entries.c.seq.desc())
    for body in map(bytes, transaction.read(query).scalars()):
        if _RESUMED in body and (entry := decode(body)).kind == Kind.EXCHANGE_RESUMED.value:
            return str(entry.data.get("stream", ""))
    return ""
