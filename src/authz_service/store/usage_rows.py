"""Reports of use, from the sessions on record."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError

from authz_service.audit.columns import clean
from authz_service.audit.entry import rfc3339
from authz_service.core.limits import Quota
from authz_service.core.usage import ActiveCaller, Dimension, Left, Usage, UsageQuery, limits_of
from authz_service.store.column_texts import micro
from authz_service.store.damage import DAMAGE, damaged
from authz_service.store.faults import without_values
from authz_service.store.hold_documents import read_caller
from authz_service.store.schema import sessions
from authz_service.store.transaction import Reader
from authz_service.store.usage_report import MOST_TOLD_APART
from authz_service.store.used import LIMITED, Use

log = structlog.get_logger(__name__)

DAY: Final = micro(86_400.0)

_COUNTS = sessions.c.status != LIMITED
_COLUMNS = {
    Dimension.CALLER: sessions.c.caller,
    Dimension.KEY: sessions.c.key,
    Dimension.MODEL: sessions.c.model,
}


def bounds(reader: Reader, since: float) -> tuple[float, float] | None:
    """When the first session from then on began, and the time now; None without any."""
    query = select(sessions.c.started_at).where(sessions.c.started_at >= micro(since))
    first = reader.read(query.order_by(sessions.c.started_at).limit(1)).scalar()
    return None if first is None else (first / 1_000_000, reader.now / 1_000_000)


def usage(reader: Reader, query: UsageQuery) -> Sequence[Usage]:
    """What the sessions of the query have, in no order, and whatever the query's `most`.

    One whose caller is damaged is in no group. On PostgreSQL it raises `Unavailable` (`record_damaged`),
    which names the time, where groups are asked for.
    """
    first = _first(reader, query.since)
    if first is None:
        return ()
    groups = _groups(reader) if Dimension.GROUP in query.by or query.group else None
    told = {by: _told(by, groups).label(f"by_{by.value}") for by in query.by}
    narrow = [sessions.c.seq >= first, sessions.c.started_at >= micro(query.since), *_narrow(query, groups)]
    below = None if query.until is None else _first(reader, query.until)
    if below is not None:
        narrow.append(sessions.c.seq < below)  # numbers and times rise together
    source: FromClause = sessions if groups is None else sessions.outerjoin(groups, true())
    requests = _sum(case((_COUNTS, 1), else_=0)).label("requests")
    statement = (
        select(
            *told.values(),
            # With several names of one, such as before and after an erasure, the one that is there.
            func.max(sessions.c.subject).label("subject"),
            requests,
            _sum(case((_COUNTS, 0), else_=1 + func.coalesce(sessions.c.repeated, 0))).label("limited"),
            func.count(sessions.c.hold).label("held"),
            _sum(sessions.c.prompt_tokens).label("prompt_tokens"),
            _sum(sessions.c.completion_tokens).label("completion_tokens"),
            _sum(sessions.c.tokens).label("tokens"),
            _sum(sessions.c.bytes).label("size"),
        )
        .select_from(source)
        .where(*narrow)
        .group_by(*told.values())
        .limit(MOST_TOLD_APART + 1)
    )
    try:
        rows = reader.read(statement).all()
    except DataError as error:
        when = rfc3339(micro(query.since))
        what = f"the caller of a session that began at {when} or later (`authz session list` names it)"
        raise damaged(what) from without_values(error)
    return tuple(_row(row._mapping, query) for row in rows if row.requests or row.limited)


def left(reader: Reader, quotas: Collection[Quota]) -> Sequence[Left]:
    """See `UsageStore.left`."""
    use = Use(reader)
    found = []
    for quota in quotas:
        used = use.of(quota)
        if quota.rates.open_holds is not None:
            used = used._replace(holds=use.holds(quota))
        for what, limit, had in limits_of(quota, used):
            again = None if had < limit else use.frees(quota, what, had + 1 - limit)
            found.append(Left(quota.by, quota.name, what, limit, had, again, quota.models))
    return found


def active_callers(reader: Reader, since: float, caller: str, *, most: int) -> Sequence[ActiveCaller]:
    """See `UsageStore.active_callers`."""
    first = _first(reader, since)
    if first is None:
        return ()
    named = [_named(caller)] if caller else []
    last = (
        select(func.max(sessions.c.seq).label("seq"))
        .where(sessions.c.seq >= first, sessions.c.caller_detail.is_not(None), *named)
        .group_by(sessions.c.caller)
        .subquery()
    )
    query = (
        select(sessions.c.id, sessions.c.caller, sessions.c.caller_detail, sessions.c.key)
        .join(last, last.c.seq == sessions.c.seq)
        .order_by(sessions.c.seq.desc())
        .limit(most)
    )
    found = []
    for row in reader.read(query):
        claims = {} if row.key is None else {"key": row.key}
        try:
            of = read_caller(json.loads(row.caller_detail), claims=claims, expires_at=0.0)
        except DAMAGE as error:
            log.error("session.damaged", session=row.id, error=type(error).__name__)
            continue
        found.append(ActiveCaller(row.caller, of))
    return found


def _first(reader: Reader, since: float) -> int | None:
    """The number of the first session that began at a time or later."""
    query = select(sessions.c.seq).where(sessions.c.started_at >= micro(since))
    found: int | None = reader.read(query.order_by(sessions.c.started_at, sessions.c.seq).limit(1)).scalar()
    return found


def _narrow(query: UsageQuery, groups: Any) -> list[ColumnElement[bool]]:
    narrow: list[ColumnElement[bool]] = []
    if query.until is not None:
        narrow.append(sessions.c.started_at < micro(query.until))
    if query.caller:
        narrow.append(_named(query.caller))
    if query.pseudonym:
        narrow.append(sessions.c.caller == query.pseudonym)
    if query.group:
        narrow.append(groups.c.value == query.group)
    if query.model:
        narrow.append(sessions.c.model == clean(query.model))
    if query.key:
        key = clean(query.key)
        narrow.append(or_(sessions.c.key == key, sessions.c.key.is_not(None) & (sessions.c.subject == key)))
    if Dimension.KEY in query.by:
        narrow.append(sessions.c.key.is_not(None))
    return narrow


def _named(name: str) -> ColumnElement[bool]:
    caller = clean(name)
    return or_(sessions.c.subject == caller, sessions.c.person == caller, sessions.c.caller == caller)


def _groups(reader: Reader) -> Any:
    """The groups of a session's caller, a row for each."""
    detail = sessions.c.caller_detail
    if reader.dialect == "sqlite":
        sound = case((func.json_valid(detail), detail))  # a damaged one has none, and fails no report
        return func.json_each(sound, "$.groups").table_valued("value", name="caller_groups")
    array = cast(detail, JSONB)["groups"]
    return func.jsonb_array_elements_text(array).table_valued("value", name="caller_groups")


def _told(by: Dimension, groups: Any) -> ColumnElement[Any]:
    if by is Dimension.DAY:
        return sessions.c.started_at // literal_column(str(DAY), BigInteger)
    if by is Dimension.GROUP:
        return func.coalesce(cast(groups.c.value, String), literal_column("''"))
    return _COLUMNS[by]


def _sum(what: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(what), 0)


def _row(row: Any, query: UsageQuery) -> Usage:
    names = [by for by in query.by if by is not Dimension.DAY]
    told: dict[str, Any] = {by.value: str(row[f"by_{by.value}"]) for by in names}
    if Dimension.DAY in query.by:
        begin = int(row["by_day"]) * DAY / 1_000_000
        told["day"] = datetime.fromtimestamp(begin, UTC).date().isoformat()
    is_one = Dimension.CALLER in query.by or Dimension.KEY in query.by
    numbers = ("requests", "limited", "held", "prompt_tokens", "completion_tokens", "tokens", "size")
    told |= {name: int(row[name]) for name in numbers}
    return Usage(**told, subject=row["subject"] if is_one else "")
