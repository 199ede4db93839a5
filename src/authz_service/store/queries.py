"""Reading: lists and single values, each from one consistent view of the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Result,
    Row,
    Select,
    and_,
    false,
    or_,
    select,
    text,
)

from authz_service.audit.columns import clean
from authz_service.audit.entry import LARGEST_ENTRY, ReadEntry
from authz_service.audit.forgotten import Forgotten
from authz_service.core.acts import Act
from authz_service.core.pages import Page
from authz_service.core.sessions import DAMAGED_ENTRY, DAMAGED_WHY, Entry
from authz_service.core.stored_holds import Hold, HoldChange, HoldQuery, HoldsNow, HoldState, HoldSummary
from authz_service.errors import Unavailable
from authz_service.store import paging
from authz_service.store.bulk_rows import told_bytes
from authz_service.store.column_texts import identity_text, seconds
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.hold_rows import payload_held, require_digest
from authz_service.store.hold_standing import OPEN, state_or_none
from authz_service.store.keyring import Keyring
from authz_service.store.loading import (
    NAMES_AT_ONCE,
    find_act,
    find_hold,
    load_holds,
    load_summaries,
    rows_of,
)
from authz_service.store.missing import why_missing
from authz_service.store.payload_rows import read_payloads, shown_payloads
from authz_service.store.prefixes import begins_with
from authz_service.store.schema import IS_OPEN, entries, head, holds
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Parameters, Reader
from authz_service.store.vote_rows import read_act

CHANGES_AT_ONCE = 1000


class Snapshot:
    """A consistent view: a read-only transaction, and the moment at which it is read."""

    def __init__(self, connection: Connection, now: int, keyring: Keyring | None = None) -> None:
        self._connection = connection
        self._now = now
        self._keyring = keyring

    @property
    def now(self) -> int:
        return self._now

    @property
    def keyring(self) -> Keyring | None:
        return self._keyring

    @property
    def dialect(self) -> str:
        return self._connection.dialect.name

    def read(self, statement: Executable) -> Result[Any]:
        return self._connection.execute(statement)

    def read_beside(self, statement: Executable, parameters: Parameters | None = None) -> Result[Any]:
        return self._connection.execute(statement, parameters)


def hold(reader: Reader, hold_id: str) -> Hold | None:
    """See `Store.hold`."""
    row = find_hold(reader, hold_id)
    return None if row is None else load_holds(reader, [row])[0]


def summaries(reader: Reader, hold_ids: Collection[str]) -> dict[str, HoldSummary | Unavailable]:
    """See `Store.summaries`."""
    rows = rows_of(reader, hold_ids)
    return {row.id: found for row, found in zip(rows, load_summaries(reader, rows), strict=True)}


def holds_now(reader: Reader, hold_ids: Collection[str]) -> HoldsNow:
    """See `Store.holds_now`."""
    return HoldsNow({h.id: h for h in load_holds(reader, rows_of(reader, hold_ids))}, seconds(reader.now))


def held_bytes(reader: Reader, hold_ids: Collection[str]) -> dict[str, bytes]:
    """See `Store.held_bytes`."""
    rows = rows_of(reader, hold_ids)
    stored = read_payloads(reader, {payload_held(row) for row in rows})
    held = {row: stored.get(payload_held(row)) for row in rows}
    return {row.id: require_digest(row, found.body) for row, found in held.items() if found is not None}


def list_holds(reader: Reader, query: HoldQuery) -> Page[HoldSummary]:
    """See `Store.holds`."""
    filters = ["holds", [s.value for s in query.states], query.caller, query.model, query.rule]
    if query.review is not None:
        filters.append(query.review.value)
    if query.id_prefix:
        filters.append(query.id_prefix)
    statement = select(holds)
    if query.id_prefix:
        statement = statement.where(begins_with(reader, holds.c.id, clean(query.id_prefix)))
    if query.states:
        statement = statement.where(read_as(query.states, reader.now))
    if query.caller:
        person = identity_text(("person", query.caller))
        statement = statement.where(or_(holds.c.subject == clean(query.caller), holds.c.identity == person))
    if query.review is not None:
        statement = statement.where(holds.c.review == query.review.value)
    statement = _where_equal(statement, (holds.c.model, query.model), (holds.c.rule, query.rule))
    rows, next_token = _page(reader, statement, holds.c.seq, filters, query.page_token, query.page_size)
    found = {row.id: summary for row, summary in zip(rows, load_summaries(reader, rows), strict=True)}
    readable = tuple(summary for summary in found.values() if isinstance(summary, HoldSummary))
    damaged = tuple(name for name, summary in found.items() if isinstance(summary, Unavailable))
    return Page(readable, next_token, damaged)


def act_with_key(reader: Reader, hold_id: str, person: tuple[str, str], key: str) -> Act | None:
    """See `Store.act_with_key`."""
    row = find_act(reader, hold_id, person, key)
    return None if row is None else read_act(row)


def hold_changes(reader: Reader, after: int) -> Sequence[HoldChange]:
    """See `Store.hold_changes`."""
    columns = (holds.c.changed, holds.c.id, holds.c.state, holds.c.deadline)
    # No hold can have changed by an entry that there is not: such a number would hide what comes after.
    size = select(head.c.size).where(head.c.id == 1).scalar_subquery()
    later = (holds.c.changed > after) & (holds.c.changed <= size)
    query = select(*columns).where(later).order_by(holds.c.changed).limit(CHANGES_AT_ONCE)
    found = ((row, state_or_none(row, reader.now)) for row in reader.read(query))
    return [HoldChange(row.changed, row.id, state) for row, state in found if state is not None]


def hold_states(reader: Reader, hold_ids: Collection[str]) -> dict[str, HoldState]:
    """See `Store.hold_states`."""
    names = [clean(hold_id) for hold_id in hold_ids]
    found: dict[str, HoldState] = {}
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = holds.c.id.in_(names[start : start + NAMES_AT_ONCE])
        rows = reader.read(select(holds.c.id, holds.c.state, holds.c.deadline).where(some))
        states = ((row.id, state_or_none(row, reader.now)) for row in rows)
        found.update((name, state) for name, state in states if state is not None)
    return found


def last_sequence(reader: Reader) -> int:
    """See `Store.last_sequence`."""
    return int(reader.read(select(head.c.size).where(head.c.id == 1)).scalar_one())


def list_entries(
    reader: Reader, session_id: str, forgotten: Callable[[Reader], Forgotten] = read_forgotten
) -> Sequence[Entry]:
    """See `Store.entries`; `forgotten` reads what was let go of, once anything is missing."""
    query = select(*SOUND).where(entries.c.session == clean(session_id)).order_by(entries.c.seq)
    rows = [(row, sound(row)) for row in reader.read(query) if row.body]
    read = [entry for _, entry in rows if entry is not None]
    stored = shown_payloads(reader, {ref.digest for entry in read for ref in entry.payloads.values()})
    gone = {e.sequence: [n for n, ref in e.payloads.items() if ref.digest not in stored] for e in read}
    why = why_missing(reader, read, {number: names for number, names in gone.items() if names}, forgotten)
    found: list[Entry] = []
    at = seconds(read[0].at) if read else 0.0
    for row, entry in rows:
        if entry is None:
            found.append(damaged_entry(row, at))
            continue
        at = seconds(entry.at)
        found.append(with_payloads(row, entry, stored, why.get(entry.sequence, {})))
    return found


def with_payloads(
    row: Row[Any], read: ReadEntry, stored: Mapping[bytes, bytes | None], why: Mapping[str, str]
) -> Entry:
    """The entry of a row; `stored` as of `shown_payloads`, `why` of those that are missing."""
    bodies = {name: stored[ref.digest] for name, ref in read.payloads.items() if ref.digest in stored}
    damaged = {name: DAMAGED_WHY for name, body in bodies.items() if body is None}
    payloads = {name: body for name, body in bodies.items() if body is not None}
    at, body = seconds(read.at), bytes(row.body)
    return Entry(read.sequence, read.kind, at, read.session, read.data, payloads, body, {**why, **damaged})


def damaged_entry(row: Row[Any], at: float) -> Entry:
    """In the place of one that is not `sound`; `at` is the time of one beside it."""
    body, why = told_bytes(row.body), {"entry": DAMAGED_WHY}
    return Entry(row.seq, DAMAGED_ENTRY, at, row.session, {}, {}, body[:LARGEST_ENTRY], why)


def list_some_entries(
    reader: Reader,
    session_ids: Sequence[str],
    most: int,
    forgotten: Callable[[Reader], Forgotten] = read_forgotten,
) -> Sequence[Sequence[Entry]]:
    """The entries of the first of these sessions: up to `most` bytes, and the last of them whole."""
    found: list[Sequence[Entry]] = []
    size = 0
    for session_id in session_ids:
        read = list_entries(reader, session_id, forgotten)
        found.append(read)
        size += sum(len(entry.body) + sum(map(len, entry.payloads.values())) for entry in read)
        if size >= most:
            break
    return found


def read_as(states: Collection[HoldState], now: int) -> ColumnElement[bool]:
    """The rows of `holds` that are in one of these states at `now`, swept or not."""
    found = or_(false(), *(_reads_as(state, now) for state in states))
    if set(states) <= set(OPEN):
        return and_(text(IS_OPEN), found)  # as the index has it: not a look at all that ever waited
    return found


def _reads_as(state: HoldState, now: int) -> ColumnElement[bool]:
    overdue = holds.c.state.in_([s.value for s in OPEN]) & (holds.c.deadline <= now)
    if state is HoldState.EXPIRED:
        return or_(holds.c.state == state.value, overdue)
    return (holds.c.state == state.value) & ~overdue


def _where_equal(statement: Select[Any], *pairs: tuple[ColumnElement[str], str]) -> Select[Any]:
    for column, wanted in pairs:
        if wanted:
            statement = statement.where(column == clean(wanted))
    return statement


def _page(
    reader: Reader,
    statement: Select[Any],
    order: ColumnElement[int],
    filters: Sequence[object],
    page_token: str,
    size: int,
) -> tuple[Sequence[Row[Any]], str]:
    """The next rows, newest first, and the token of those after them.

    Rows are numbered in the order in which they were committed, so that what is new between two
    pages moves nothing.
    """
    below = paging.position(filters, page_token)
    size = paging.page_size(size)
    if below is not None:
        statement = statement.where(order < below)
    rows = reader.read(statement.order_by(order.desc()).limit(size + 1)).all()
    if len(rows) <= size:
        return rows, ""
    return rows[:size], paging.token(filters, rows[size - 1].seq)
