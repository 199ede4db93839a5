"""Taking up an exchange that Envoy sends again: from a process that died with it, into this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, or_, select

from authz_service.audit.columns import KILLING
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ports import DAMAGED
from authz_service.core.sessions import TakenUp
from authz_service.errors import Conflict
from authz_service.store.damage import DamagedEntry
from authz_service.store.entry_bytes import may_be
from authz_service.store.schema import entries, sessions
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Transaction

_HELD = frozenset({Kind.HOLD_OPENED.value, Kind.HOLD_ATTACHED.value})
_RELEASED = frozenset({Kind.REQUEST_RELEASED.value, Kind.ANSWER_RELEASED.value, Kind.REQUEST_REFUSED.value})
_REFUSED = frozenset({Kind.REQUEST_REFUSED, Kind.ANSWER_REFUSED})
LEFT = "client_left"
"""What a process records whose stream broke, be it that Envoy lost the way to it, and asks another."""


# Made once: to make a statement takes longer than the database takes for it.
_OURS = select(sessions.c.instance, sessions.c.status).where(sessions.c.id == bindparam("session"))


def take_up(transaction: Transaction, session: str, stream: str) -> TakenUp:
    """See `LiveSessions.take_up`: one compare-and-set, as no other transaction interleaves."""
    query = select(*SOUND).where(entries.c.session == session).order_by(entries.c.seq)
    read = [sound(row) for row in transaction.read(query)]
    found = [entry for entry in read if entry is not None]
    kinds = {entry.kind for entry in found}
    ended = {entry.data.get("outcome") for entry in found if entry.kind == Kind.EXCHANGE_ENDED.value}
    is_killed = Kind.SESSION_KILLED.value in kinds
    if len(found) < len(read):  # of which nobody can say that it was not the release
        return TakenUp(is_recorded=True, is_ours=False, is_killed=is_killed)
    if kinds.isdisjoint(_HELD) or not kinds.isdisjoint(_RELEASED) or ended - {LEFT} or is_killed:
        return TakenUp(is_recorded=bool(found), is_ours=False, is_killed=is_killed)
    data = {"instance": transaction.instance, "stream": stream}
    transaction.record(EntryDraft(Kind.EXCHANGE_RESUMED, session, data))
    held = [str(entry.data["hold"]) for entry in found if entry.kind in _HELD]
    return TakenUp(is_recorded=True, is_ours=True, hold=held[-1])


def require_ours(transaction: Transaction, session: str) -> None:
    """Raise `Conflict`: another process has taken this exchange up (`taken_up`), or an operator ended it.

    The order to end it (`session_killed`) may still be on its way to the process that has it.
    """
    if status_of_ours(transaction, session) == KILLING:
        raise Conflict("an operator has ended this request", code="session_killed")


def status_of_ours(transaction: Transaction, session: str) -> str | None:
    """None where it is not on record; raises `Conflict` (`taken_up`) where another process has it."""
    row = transaction.read_session(_OURS, session).one_or_none()
    if row is not None and row.instance not in (None, transaction.instance):
        raise Conflict("another process of the gateway has taken this request up", code="taken_up")
    return None if row is None else row.status


def append_own(
    transaction: Transaction, drafts: Sequence[EntryDraft], stream: str | None, *, again: bool
) -> None:
    """See `Store.append_own`. Raises `DamagedEntry` as `append_again` does."""
    for session in _sessions(drafts):
        status_of_ours(transaction, session)
        told = _told_last(transaction, session)
        if stream is not None and told.stream != stream:
            raise Conflict("another stream has taken this request up", code="taken_up")
        drafts = _without_end(drafts, session) if again and told.end else _still_to_say(drafts, session, told)
    transaction.record(*drafts)


def append_again(transaction: Transaction, drafts: Sequence[EntryDraft]) -> None:
    """See `Store.append_again`.

    Raises `DamagedEntry` where an entry cannot be read that tells who has it, or how it ended.
    """
    for session in _sessions(drafts):
        if _told_last(transaction, session).end:
            drafts = _without_end(drafts, session)
    transaction.record(*drafts)


def _sessions(drafts: Sequence[EntryDraft]) -> list[str]:
    return sorted({draft.session for draft in drafts if draft.session is not None})


def _without_end(drafts: Sequence[EntryDraft], session: str) -> list[EntryDraft]:
    return [d for d in drafts if d.session != session or d.kind is not Kind.EXCHANGE_ENDED]


def _still_to_say(drafts: Sequence[EntryDraft], session: str, told: _Told) -> Sequence[EntryDraft]:
    """What whoever has it adds to the record, which may have an end that they were never told of.

    The very same end was committed when it was said before. After another one, a refusal is what the caller
    saw, and ends it; an end alone adds nothing.
    """
    ends = [d for d in drafts if d.session == session and d.kind is Kind.EXCHANGE_ENDED]
    if not told.end or not ends:
        return drafts
    if dict(ends[-1].data) == dict(told.end):
        return [d for d in drafts if d.session != session]
    is_refused = any(d.session == session and d.kind in _REFUSED for d in drafts)
    return drafts if is_refused else _without_end(drafts, session)


@dataclass(frozen=True, slots=True)
class _Told:
    """The stream that took it up last ("": the one that began it has it still), and its last end since."""

    stream: str
    end: Mapping[str, Any] = field(default_factory=dict)


def _told_last(transaction: Transaction, session: str) -> _Told:
    # Chosen by the database: an answer of hours has ten thousands of entries, and few of these.
    chosen = or_(*(may_be(transaction, kind) for kind in (Kind.EXCHANGE_RESUMED, Kind.EXCHANGE_ENDED)))
    theirs = select(*SOUND).where(entries.c.session == session, chosen)
    end: Mapping[str, Any] = {}
    for row in transaction.read(theirs.order_by(entries.c.seq.desc())):
        entry = sound(row)
        if entry is None:  # of which nobody can say that no other stream has it since
            raise DamagedEntry(f"what is stored of entry {row.seq} is damaged", code=DAMAGED)
        if entry.kind == Kind.EXCHANGE_RESUMED.value:
            return _Told(str(entry.data.get("stream", "")), end)
        if entry.kind == Kind.EXCHANGE_ENDED.value:
            end = end or entry.data
    return _Told("", end)
