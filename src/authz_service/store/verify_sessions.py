"""The rows of `sessions` held against what their entries make of them.

In memory are the sessions that have not ended yet, and the names of those to be looked at again: an entry
may come after a session's end, and then only all of its entries together say what its row must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from authz_service.audit.columns import NEW_SESSION, Value, applied, change
from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Seen, readable
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.purging import WIPED
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import entries, sessions
from authz_service.store.verify_payloads import Say, Wanted

COLUMNS = ("id", "seq", "instance", *NEW_SESSION)
FROM_PAYLOAD = frozenset({"caller_detail", "subject", "person"})
_CHANGING = frozenset(
    {
        Kind.REQUEST_RECEIVED.value,
        Kind.REQUEST_DECIDED.value,
        Kind.REQUEST_RELEASED.value,
        Kind.REQUEST_REFUSED.value,
        Kind.REQUEST_REFUSED_AGAIN.value,
        Kind.HOLD_OPENED.value,
        Kind.HOLD_ATTACHED.value,
        Kind.SESSION_KILLED.value,
        Kind.EXCHANGE_ENDED.value,
        Kind.EXCHANGE_RECOVERED.value,
        Kind.EXCHANGE_RESUMED.value,
    }
)
_ENDING = frozenset({Kind.EXCHANGE_ENDED.value, Kind.EXCHANGE_RECOVERED.value})
_NOT_ALLOWED = frozenset({"hold", "deny"})
_ROWS = select(*(sessions.c[name] for name in COLUMNS))
_BETWEEN = select(sessions.c.id, sessions.c.seq).where(
    sessions.c.seq >= bindparam("first"), sessions.c.seq <= bindparam("last")
)
_OUTSIDE = select(sessions.c.id).where((sessions.c.seq < 1) | (sessions.c.seq > bindparam("last")))

Columns = dict[str, Value]


class _Said(NamedTuple):
    """An entry as `change` reads it."""

    kind: Kind
    data: Mapping[str, Any]
    payloads: Mapping[str, bytes]


class SessionsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._reader, self._say, self._forgotten = reader, say, forgotten
        self._open: dict[str, Columns] = {}
        self._again: set[str] = set()

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Derive what these entries change, and compare the rows of the sessions that end with them."""
        begun, ended = set(), []
        for entry in seen:
            document = entry.document
            kind, session = document["kind"], document["session"]
            if kind not in _CHANGING or session is None:
                continue
            if kind == Kind.REQUEST_RECEIVED:
                begun.add(session)
            elif kind == Kind.REQUEST_RELEASED:
                self._judge_release(entry)
            if not _apply(self._open, entry, payloads):
                self._again.add(session)
            elif kind in _ENDING:
                ended.append(session)
        self._compare({session: self._open.pop(session) for session in ended if session in self._open})
        if seen:
            between = {"first": seen[0].sequence, "last": seen[-1].sequence}
            rows = self._reader.read(_BETWEEN, between).all()
            self._again.update(row.id for row in rows if row.id not in begun)

    def _judge_release(self, entry: Seen) -> None:
        """What the rules did not allow goes to the model by a hold or a grant, or not at all."""
        data, known = entry.document["data"], self._open.get(entry.document["session"], {})
        if known.get("decision") in _NOT_ALLOWED and not data.get("hold") and not data.get("grant"):
            what = "releases what was not allowed, and names neither a hold nor a grant"
            self._say(f"entry {entry.sequence}", what)

    def end(self, size: int) -> None:
        """Compare those that have not ended, and look again at those that did not agree."""
        self._compare(self._open)
        self._again.update(row.id for row in self._reader.read(_OUTSIDE, {"last": size}))
        for session in sorted(self._again):
            self._look_again(session)

    def _compare(self, derived: Mapping[str, Columns]) -> None:
        for names in _some(derived):
            rows = {row[0]: row for row in self._reader.sessions(names, COLUMNS)}
            for name in names:
                if name not in rows or self._differing(rows[name], derived[name]):
                    self._again.add(name)

    def _differing(self, row: Any, columns: Columns) -> list[str]:
        """The columns that are not as derived, after what tombstones say was taken from the session."""
        if row == tuple(columns.values()):  # as it is for nearly all of them
            return []
        name, sequence, caller = str(columns["id"]), columns["seq"], str(columns["caller"])
        if not isinstance(sequence, int) or not self._forgotten.took_payloads(sequence, name, caller):
            return _differing(row, columns)
        is_purged = self._forgotten.purge_of(Retention.PAYLOADS, sequence, name) is not None
        if is_purged or not self._forgotten.is_being_erased(caller, sequence):
            return _differing(row, {**columns, **WIPED})
        different = _differing(row, columns)
        if columns.keys() >= FROM_PAYLOAD:
            return different  # the erasure has not come to it: columns go with the payloads
        found = dict(zip(COLUMNS, row, strict=True))
        wiped = {column for column, value in WIPED.items() if found[column] == value}
        return [column for column in different if column not in wiped]

    def _look_again(self, session: str) -> None:
        """From all entries of one session, whatever came between them."""
        derived: dict[str, Columns] = {}
        query = (
            select(entries.c.seq, entries.c.body).where(entries.c.session == session).order_by(entries.c.seq)
        )
        callers: dict[Wanted, bytes] = {}
        for entry in readable((row.seq, as_bytes(row.body)) for row in self._reader.read(query)):
            document = entry.document
            if document["session"] == session and document["kind"] in _CHANGING:
                if document["kind"] == Kind.REQUEST_RECEIVED:
                    callers = _caller(self._reader, entry)
                _apply(derived, entry, callers)
        row = self._reader.read(_ROWS.where(sessions.c.id == session)).one_or_none()
        name = f"session {session}" if session.isprintable() else "a session"
        if session not in derived:
            if row is not None:
                self._say(name, "has a row, and no entry that it begins with")
        elif row is None:
            self._say(name, "has entries, and no row")
        else:
            for column in self._differing(row, derived[session]):
                self._say(name, f"its column {column} is not what its entries make of it")


def _apply(known: dict[str, Columns], entry: Seen, payloads: Mapping[Wanted, bytes]) -> bool:
    """What an entry does to the columns of its session; False for one whose beginning is not known."""
    document = entry.document
    session, data = document["session"], document["data"]
    caller = payloads.get((entry.sequence, "caller"))
    said = _Said(document["kind"], data, {} if caller is None else {"caller": caller})
    try:
        what = change(said, at=microseconds(document["at"]))
    except (ValueError, KeyError, TypeError):
        return False
    if what is None:
        return True
    if what.begins:
        columns: Columns = {"id": session, "seq": entry.sequence, "instance": data.get("instance")}
        known[session] = {**columns, **applied(NEW_SESSION, what)}
        if caller is None:
            for name in FROM_PAYLOAD:
                del known[session][name]
        return True
    if session not in known:
        return False
    if what.fill or what.moves_to:
        known[session] = applied(known[session], what)
    else:
        known[session].update(what.put)  # nobody else has them
    return True


def _differing(row: Any, derived: Columns) -> list[str]:
    """The columns that are not as derived; what nothing was derived for is not looked at."""
    found = []
    for name, value in zip(COLUMNS, row, strict=True):
        if name in derived and value != derived[name] and not (name == "instance" and derived[name] is None):
            found.append(name)
    return found


def _caller(reader: RecordReader, entry: Seen) -> dict[Wanted, bytes]:
    reference = entry.document["payloads"].get("caller")
    if reference is None:
        return {}
    for _, _, body in reader.payloads([(bytes.fromhex(reference["digest"]), 0)]):
        return {(entry.sequence, "caller"): body}
    return {}


def _some(names: Iterable[str]) -> Iterator[list[str]]:
    wanted = list(names)
    for start in range(0, len(wanted), DIGESTS_AT_ONCE):
        yield wanted[start : start + DIGESTS_AT_ONCE]
