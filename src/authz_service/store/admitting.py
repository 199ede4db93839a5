"""Admits a request under its limits, counted from the sessions on record.

There are no counters beside the record: what a caller, a group, a key or a model has used is asked of
`sessions`, in the transaction that records the request. No other interleaves with that, in any process, so
that a limit of requests is never exceeded, however many replicas there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from sqlalchemy import bindparam, insert, select

from authz_service.audit.draft import EntryDraft
from authz_service.core.limits import (
    DAY,
    MINUTE,
    Admission,
    Admitted,
    Allowance,
    Demand,
    LimitReached,
    Quota,
)
from authz_service.core.usage import Used, limits_of
from authz_service.store.column_texts import seconds
from authz_service.store.faults import begun_before
from authz_service.store.schema import session_budgets, sessions
from authz_service.store.transaction import Transaction
from authz_service.store.used import Remembered, Use

_BEGUN = select(sessions.c.id).where(sessions.c.id == bindparam("session"))


def admit(
    transaction: Transaction, demand: Demand, draft: EntryDraft, remembered: Remembered | None = None
) -> Admission:
    """Record `draft`, the entry that the session begins with, unless a limit is reached.

    Of several limits it is the one that has room last. Raises `Conflict` (`begun_before`) where the session
    is on record, whether a limit is reached or not: what waits for people must not be refused as a new one.
    """
    use = Use(transaction, remembered, but=draft.session or "")
    every = [(quota, use.of(quota)) for quota in demand.quotas]
    reached = [one for quota, used in every for one in _reached(use, quota, used, demand, transaction.now)]
    if reached:
        _require_new(transaction, draft.session or "")
        return max(reached, key=lambda one: inf if one.again is None else one.again)
    recorded = transaction.record(draft)
    if demand.budgets:
        rows = [{"budget": name, "session": recorded.first} for name in demand.budgets]
        transaction.change(insert(session_budgets), rows)
    requests = [room for quota, used in every for room in _requests_left(quota, used)]
    tokens = [room for quota, used in every for room in _tokens_left(quota, used, demand.tokens)]
    return Admitted(
        seconds(transaction.now),
        min(requests, key=lambda room: room.left, default=None),
        min(tokens, key=lambda room: room.left, default=None),
    )


def _require_new(transaction: Transaction, session: str) -> None:
    """As the database does where the entry is recorded."""
    if transaction.read_session(_BEGUN, session).one_or_none() is not None:
        raise begun_before()


def _requests_left(quota: Quota, used: Used) -> Iterator[Allowance]:
    limit = quota.rates.requests_per_minute
    if limit is not None:
        yield Allowance(limit, limit - used.requests - 1, MINUTE)


def _tokens_left(quota: Quota, used: Used, tokens: int) -> Iterator[Allowance]:
    rates = quota.rates
    if rates.tokens_per_minute is not None:
        yield Allowance(rates.tokens_per_minute, rates.tokens_per_minute - used.minute - tokens, MINUTE)
    if rates.tokens_per_day is not None:
        yield Allowance(rates.tokens_per_day, rates.tokens_per_day - used.day - tokens, DAY)


def _reached(use: Use, quota: Quota, used: Used, demand: Demand, now: int) -> Iterator[LimitReached]:
    for what, limit, had in limits_of(quota, used):
        if what == "open_holds":
            continue  # asked when one is to be opened: see `opening`
        # A budget that is used up has no room for a request either of which no tokens are known.
        wanted = max(1, _wanted(demand, what))
        if had + wanted <= limit:
            continue
        again = None if wanted > limit else use.frees(quota, what, had + wanted - limit)
        yield LimitReached(what, quota.by, limit, seconds(now), again, limit - had, quota.models)


def _wanted(demand: Demand, what: str) -> int:
    if what.startswith("tokens"):
        return demand.tokens
    return demand.size if what.startswith("recorded_bytes") else 1
