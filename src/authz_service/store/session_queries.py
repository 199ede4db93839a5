"""Lists of sessions: every filter answered from an index, every page from a bounded part of the table.

A filter that few sessions pass is asked for them first. What many pass is looked for among the newest
20,000 sessions of a page; when they have too few, the page is a short one and its token goes on below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    any_,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from authz_service.audit.columns import clean
from authz_service.core.pages import Page
from authz_service.core.sessions import DAMAGED_STATUS, Session, SessionQuery
from authz_service.store import paging
from authz_service.store.column_texts import micro, seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.declared_types import LATEST, require_declared
from authz_service.store.hold_documents import read_caller
from authz_service.store.prefixes import begins_with
from authz_service.store.schema import sessions
from authz_service.store.search_schema import marks
from authz_service.store.search_texts import is_costly, key_of, matching
from authz_service.store.transaction import Reader

FEW = 2000
WINDOW = 20_000

_MOST = {sessions.c.decision.name: "allow", sessions.c.status.name: "completed"}
"""Values that have no index, since nearly every session has them."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """`found` are the numbers of the sessions that pass, from an index; `passes` says it of one row."""

    passes: ColumnElement[bool]
    found: Select[Any] | CompoundSelect[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """The numbers from `first` up to, and without, `below`; None is no bound."""

    first: int | None
    below: int | None

    def of(self, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Said of a column that has numbers of sessions."""
        found = [] if self.first is None else [column >= self.first]
        return found if self.below is None else [*found, column < self.below]


def session(reader: Reader, session_id: str) -> Session | None:
    """See `Store.session`."""
    row = reader.read(select(sessions).where(sessions.c.id == clean(session_id))).one_or_none()
    return None if row is None else _session(row)


def some_sessions(reader: Reader, names: Sequence[str]) -> Sequence[Session]:
    """Those of these sessions that are there, in this order; no more than a statement takes."""
    rows = reader.read(select(sessions).where(sessions.c.id.in_([clean(name) for name in names])))
    found = {row.id: row for row in rows}
    return [_session(found[clean(name)]) for name in names if clean(name) in found]


def list_sessions(reader: Reader, query: SessionQuery) -> Page[Session]:
    """See `Store.sessions`."""
    described = _described(query)
    size = paging.page_size(query.page_size)
    below = paging.position(described, query.page_token)
    span = _span(reader, query, below)
    narrow = span.of(sessions.c.seq)
    few: list[int] | None = None
    for filter in _filters(reader, query):
        found = None if filter.found is None else _few(reader, filter.found)
        if found is None:
            narrow.append(filter.passes)
        else:
            few = found
            narrow.append(_among(reader, sessions.c.seq, found))
    if few is None and query.text and not is_costly(reader, query.text):
        few = _few(reader, matching(reader, query.text))
    floor = None if few is not None else _floor(reader, span)
    if floor is not None:
        span = _Span(floor, span.below)
        narrow += span.of(sessions.c.seq)
    if query.text:
        key = key_of(reader.dialect)
        within = span.of(key) if few is None else [_among(reader, key, few)]
        narrow.append(sessions.c.seq.in_(matching(reader, query.text).where(*within)))
    statement = select(sessions).where(*narrow).order_by(sessions.c.seq.desc()).limit(size + 1)
    rows = reader.read(statement).all()
    if len(rows) > size:
        rows, token = rows[:size], paging.token(described, rows[size - 1].seq)
    else:
        token = "" if floor is None else paging.token(described, floor)
    listed = tuple(_session(row) for row in rows)
    return Page(listed, token, tuple(one.id for one in listed if one.is_damaged))


def _described(query: SessionQuery) -> Sequence[object]:
    return [
        "sessions",
        query.id_prefix,
        query.caller,
        query.model,
        query.decision,
        query.status,
        query.rule,
        query.group,
        query.entity,
        query.reviewer,
        query.since,
        query.until,
        query.text,
    ]


def _span(reader: Reader, query: SessionQuery, below: int | None) -> _Span:
    """Times as numbers: sessions are numbered in the order of their time, which never goes back."""
    first = None if query.since is None else _first(reader, query.since)
    if query.until is not None:
        until = _first(reader, query.until)
        below = until if below is None else min(below, until)
    return _Span(first, below)


def _first(reader: Reader, at: float) -> int:
    """The number of the first session that began at a time or later."""
    columns = sessions.c
    query = select(columns.seq).where(columns.started_at >= micro(at))
    found = reader.read(query.order_by(columns.started_at, columns.seq).limit(1)).scalar()
    return (1 << 63) - 1 if found is None else int(found)


def _filters(reader: Reader, query: SessionQuery) -> Iterator[_Filter]:
    columns = sessions.c
    if query.caller:
        caller = clean(query.caller)
        named = (columns.subject == caller, _but(columns.person, caller), columns.caller == caller)
        arms = [select(columns.seq).where(one).limit(FEW + 1).subquery() for one in named]
        yield _Filter(or_(*named), union_all(*(select(arm.c.seq) for arm in arms)))
    for column, wanted in (
        (columns.model, query.model),
        (columns.rule, query.rule),
        (columns.decision, query.decision),
        (columns.status, query.status),
    ):
        if wanted:
            passes = _but(column, clean(wanted))
            has_index = _MOST.get(column.name) != wanted
            yield _Filter(passes, select(columns.seq).where(passes) if has_index else None)
    for name, wanted in (("group", query.group), ("entity", query.entity), ("reviewer", query.reviewer)):
        if wanted:
            yield _marked(f"{name}:{clean(wanted)}")
    if query.id_prefix:
        yield _prefix(reader, clean(query.id_prefix))


def _but(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    """Equal; said so that the databases see that the index without the most frequent value will do."""
    name = getattr(column, "name", "")
    most = "" if name == "person" else _MOST.get(name)
    if most is None or wanted == most:
        return column == wanted
    return (column == wanted) & (column != _literal(most))


def _literal(value: str) -> ColumnElement[str]:
    return literal_column(f"'{value}'")


def _marked(mark: str) -> _Filter:
    found = select(marks.c.session).where(marks.c.mark == mark)
    return _Filter(found.where(marks.c.session == sessions.c.seq).correlate(sessions).exists(), found)


def _prefix(reader: Reader, prefix: str) -> _Filter:
    passes = begins_with(reader, sessions.c.id, prefix)
    return _Filter(passes, select(sessions.c.seq).where(passes))


def _few(reader: Reader, found: Select[Any] | CompoundSelect[Any]) -> list[int] | None:
    """All that pass, when they are few; None when they are many."""
    numbers = [int(number) for number in reader.read(found.limit(FEW + 1)).scalars()]
    return numbers if len(numbers) <= FEW else None


def _among(reader: Reader, column: ColumnElement[int], numbers: list[int]) -> ColumnElement[bool]:
    if reader.dialect == "sqlite":
        return column.in_(numbers)
    # One value: two thousand of them take longer to be sent than to be looked up.
    return column == any_(literal(numbers, ARRAY(BigInteger)))


def _floor(reader: Reader, span: _Span) -> int | None:
    """The number above which 20,000 sessions lie within the span; None when there are not so many."""
    column = sessions.c.seq
    query = select(column).where(true(), *span.of(column)).order_by(column.desc()).offset(WINDOW).limit(1)
    found = reader.read(query).scalar()
    return None if found is None else int(found) + 1


def _session(row: Row[Any]) -> Session:
    """One whose columns are not what they are declared as is there by its id: its entries may be sound.

    So are its hold and its end, by which an operator ends it, where these are."""
    try:
        read = _read(row)
        require_declared(read)
        return read
    except DAMAGE:
        name, status = str(row.id), DAMAGED_STATUS
        hold = row.hold if isinstance(row.hold, str) else None
        is_time = isinstance(row.ended_at, int) and 0 <= row.ended_at < LATEST
        ended = row.ended_at / 1_000_000 if is_time else None
        return Session(name, None, "", "", "", "", "", "", hold, status, 0.0, ended, is_damaged=True)


def _read(row: Row[Any]) -> Session:
    caller, is_damaged = None, False
    if row.caller_detail is not None:
        try:
            # The record keeps no claims and no expiry: a session's caller is to be shown, not judged.
            caller = read_caller(json.loads(row.caller_detail), claims={}, expires_at=0.0)
            require_declared(caller)
        except DAMAGE:  # the rest of it can be shown, and an operator can end it
            caller, is_damaged = None, True
    return Session(
        row.id,
        caller,
        row.api,
        row.method,
        row.path,
        row.model,
        row.decision,
        row.rule,
        row.hold,
        row.status,
        seconds(row.started_at),
        None if row.ended_at is None else seconds(row.ended_at),
        row.prompt_tokens,
        row.completion_tokens,
        is_damaged,
    )
