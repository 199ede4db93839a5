"""Admits a request under its limits, counted from the sessions on record.

There are no counters beside the record: what a caller, a key or a model has used is asked of `sessions`, in
the transaction that records the request. No other interleaves with that, in any process, so that a limit of
requests is never exceeded, however many replicas there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select

from authz_service.audit.draft import EntryDraft
from authz_service.core.limits import (
    DAY,
    LONGEST_OPEN,
    MINUTE,
    Admission,
    Admitted,
    Allowance,
    CountedBy,
    Demand,
    LimitReached,
    Quota,
)
from authz_service.store.hold_rows import micro, seconds
from authz_service.store.schema import sessions
from authz_service.store.transaction import Transaction

LIMITED: Final = "limited"
"""The status of a session that a limit refused: it is on record, and does not count."""

MOST_LOOKED_AT: Final = 10_000
"""Sessions that are looked at to say when there is room again."""

_TOKENS = func.coalesce(sessions.c.tokens, 0)


class _Used(NamedTuple):
    """What a quota has used, without the request that asks."""

    requests: int = 0
    minute: int = 0
    day: int = 0
    open: int = 0


def admit(transaction: Transaction, demand: Demand, draft: EntryDraft) -> Admission:
    """Record `draft`, the entry that the session begins with, unless a limit is reached."""
    now = transaction.now
    every = [(quota, _used(transaction, quota, draft.session or "")) for quota in demand.quotas]
    for quota, used in every:
        reached = _reached(transaction, quota, used, demand, draft.session or "")
        if reached is not None:
            return reached
    transaction.record(draft)
    requests = [room for quota, used in every for room in _requests_left(quota, used)]
    tokens = [room for quota, used in every for room in _tokens_left(quota, used, demand.tokens)]
    return Admitted(
        seconds(now),
        min(requests, key=lambda room: room.left, default=None),
        min(tokens, key=lambda room: room.left, default=None),
    )


def _requests_left(quota: Quota, used: _Used) -> Iterator[Allowance]:
    limit = quota.rates.requests_per_minute
    if limit is not None:
        yield Allowance(limit, limit - used.requests - 1, MINUTE)


def _tokens_left(quota: Quota, used: _Used, tokens: int) -> Iterator[Allowance]:
    rates = quota.rates
    if rates.tokens_per_minute is not None:
        yield Allowance(rates.tokens_per_minute, rates.tokens_per_minute - used.minute - tokens, MINUTE)
    if rates.tokens_per_day is not None:
        yield Allowance(rates.tokens_per_day, rates.tokens_per_day - used.day - tokens, DAY)


def _used(transaction: Transaction, quota: Quota, session: str) -> _Used:
    rates, now = quota.rates, transaction.now
    longest = MINUTE
    if rates.concurrent is not None:
        longest = LONGEST_OPEN
    if rates.tokens_per_day is not None:
        longest = DAY
    counted = _counted(transaction, quota, longest, session)
    if counted is None:
        return _Used()
    in_minute = sessions.c.started_at > now - micro(MINUTE)
    is_open = sessions.c.ended_at.is_(None) & (sessions.c.started_at > now - micro(LONGEST_OPEN))
    asked = select(
        func.count().filter(in_minute),
        func.coalesce(func.sum(_TOKENS).filter(in_minute), 0),
        func.coalesce(func.sum(_TOKENS), 0),
        func.count().filter(is_open),
    ).where(counted)
    return _Used(*map(int, transaction.read(asked).one()))


def _counted(
    transaction: Transaction, quota: Quota, window: float, session: str
) -> ColumnElement[bool] | None:
    """The sessions of the last `window` seconds that count; None where none began since.

    Not the one that asks: it may come again, after a process died that had recorded its beginning.
    """
    since = transaction.now - micro(window)
    begun = (
        select(sessions.c.seq)
        .where(sessions.c.started_at > since)
        .order_by(sessions.c.started_at, sessions.c.seq)
        .limit(1)
    )
    first = transaction.read(begun).scalar()
    if first is None:
        return None
    whose = {
        CountedBy.CALLER: sessions.c.caller,
        CountedBy.KEY: sessions.c.key,
        CountedBy.MODEL: sessions.c.model,
    }[quota.by]
    # Numbers and times rise together: the indexes of callers and models have the one, that of keys the other.
    return and_(
        whose == quota.name,
        sessions.c.seq >= first,
        sessions.c.started_at > since,
        sessions.c.status != LIMITED,
        sessions.c.id != session,
    )


def _reached(
    transaction: Transaction, quota: Quota, used: _Used, demand: Demand, session: str
) -> LimitReached | None:
    rates = quota.rates
    each = (
        ("requests_per_minute", rates.requests_per_minute, used.requests, 1, MINUTE),
        ("tokens_per_minute", rates.tokens_per_minute, used.minute, demand.tokens, MINUTE),
        ("tokens_per_day", rates.tokens_per_day, used.day, demand.tokens, DAY),
        ("concurrent", rates.concurrent, used.open, 1, 0.0),
    )
    for what, limit, had, wanted, window in each:
        # A budget that is used up has no room for a request either of which no tokens are known.
        if limit is None or had + max(1, wanted) <= limit:
            continue
        again: float | None = 1.0
        if wanted > limit:
            again = None
        elif window:
            too_many = had + max(1, wanted) - limit
            again = _room_in(transaction, quota, window, session, too_many, is_tokens=what[0] == "t")
        return LimitReached(what, quota.by, limit, seconds(transaction.now), again, limit - had)
    return None


def _room_in(
    transaction: Transaction, quota: Quota, window: float, session: str, too_many: int, *, is_tokens: bool
) -> float:
    """Seconds until so much is older than `window` that `too_many` less are counted."""
    counted = _counted(transaction, quota, window, session)
    if counted is None:
        return 1.0
    rows = transaction.read(
        select(sessions.c.started_at, _TOKENS.label("tokens"))
        .where(counted)
        .order_by(sessions.c.seq)
        .limit(MOST_LOOKED_AT)
    )
    last = transaction.now
    for row in rows:
        last = row.started_at
        too_many -= row.tokens if is_tokens else 1
        if too_many <= 0:
            break
    return window - seconds(transaction.now - last)
