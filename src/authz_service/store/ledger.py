"""The entries of one transaction: numbered, dated, salted, hashed into the tree, then written at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, case, insert, literal_column, or_, update

from authz_service.audit.columns import NEW_SESSION, Change, Value, applied, change, merged
from authz_service.audit.draft import EntryDraft
from authz_service.audit.entry import SALT_BYTES, PayloadRef, encode, payload_digest
from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.store.database import HeadRow
from authz_service.store.prepared import execute_many
from authz_service.store.schema import entries, head, payloads, sessions

Salt = Callable[[int], bytes]
Row = dict[str, Any]
Shape = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where drafts went: the number of the first and last entry, and the digest of each payload by name."""

    first: int
    last: int
    digests: Mapping[str, bytes]


class Ledger:
    """What one transaction adds to the record. Nothing is in the database before `flush`.

    `now` is the transaction's time in microseconds, never behind that of the last committed entry,
    so that a clock that went back revives no deadline.
    """

    def __init__(self, found: HeadRow, *, now: int, instance: str, salt: Salt = os.urandom) -> None:
        self.now = max(now, found.last_at)
        self._frontier = Frontier.from_bytes(found.size, found.frontier)
        self._instance = instance
        self._salt = salt
        self._recorded = 0
        self._entries: list[Row] = []
        self._payloads: list[Row] = []
        self._begun: dict[str, dict[str, Value]] = {}
        self._changed: dict[str, Change] = {}

    @property
    def recorded(self) -> int:
        """How many entries this transaction has recorded so far."""
        return self._recorded

    def record(self, drafts: Sequence[EntryDraft]) -> Recorded:
        """Add entries, in order. When one of them cannot be recorded, none is, and it raises.

        Equal payloads of one call are stored once; those of different calls never, so that deleting
        one exchange's takes nothing from another's.
        """
        first = self._frontier.size + 1
        stored: list[tuple[bytes, PayloadRef, bytes]] = []
        digests: dict[str, bytes] = {}
        rows: list[Row] = []
        for sequence, draft in enumerate(drafts, first):
            refs = {name: self._stored(body, stored) for name, body in draft.payloads.items()}
            digests.update((name, ref.digest) for name, ref in refs.items())
            body = encode(draft, sequence=sequence, at=self.now, payloads=refs)
            rows.append({"seq": sequence, "session": draft.session, "body": body})
        changes = [
            (row["seq"], d.session, change(d, at=self.now)) for row, d in zip(rows, drafts, strict=True)
        ]
        for row in rows:
            self._frontier.append(leaf_hash(row["body"]))
        for sequence, session, what in changes:
            if session is not None and what is not None:
                self._change(sequence, session, what)
        self._entries += rows
        self._payloads += ({"digest": r.digest, "salt": s, "body": b} for b, r, s in stored)
        self._recorded += len(rows)
        return Recorded(first, self._frontier.size, digests)

    def flush(self, connection: Connection) -> None:
        """Write what was recorded since the last flush, one statement for each table."""
        if self._payloads:
            execute_many(connection, _INSERT_PAYLOADS, self._payloads)
        if self._entries:
            execute_many(connection, _INSERT_ENTRIES, self._entries)
        if self._begun:
            begun = [{"id": id, **row} for id, row in self._begun.items()]
            execute_many(connection, _INSERT_SESSIONS, begun)
        _update_sessions(connection, self._changed)
        self._entries, self._payloads, self._begun, self._changed = [], [], {}, {}

    def close(self, connection: Connection) -> None:
        """Write the rest and the new head; the transaction can be committed then."""
        self.flush(connection)
        if self._recorded:
            execute_many(connection, _UPDATE_HEAD, [head_values(self._frontier, self.now)])

    def _stored(self, body: bytes, stored: list[tuple[bytes, PayloadRef, bytes]]) -> PayloadRef:
        for known, ref, _ in stored:
            if known is body or known == body:
                return ref
        salt = self._salt(SALT_BYTES)
        ref = PayloadRef(payload_digest(salt, body), len(body))
        stored.append((body, ref, salt))
        return ref

    def _change(self, sequence: int, session: str, what: Change) -> None:
        if what.begins:
            if session in self._begun:
                raise ValueError("a session begins once")
            row = applied(NEW_SESSION, what)
            self._begun[session] = {**row, "seq": sequence, "instance": self._instance}
        elif session in self._begun:
            self._begun[session] = applied(self._begun[session], what)
        elif session in self._changed:
            self._changed[session] = merged(self._changed[session], what)
        else:
            self._changed[session] = what


def head_values(frontier: Frontier, last_at: int) -> Row:
    """The columns of the head row."""
    return {
        "size": frontier.size,
        "root": frontier.root(),
        "frontier": frontier.to_bytes(),
        "last_at": last_at,
    }


def _update_sessions(connection: Connection, changed: Mapping[str, Change]) -> None:
    """One statement for all sessions whose change has the same shape."""
    shapes: dict[Shape, list[Row]] = {}
    for session, what in changed.items():
        values = {f"new_{name}": value for name, value in (*what.put.items(), *what.fill.items())}
        shape = (frozenset(what.put), frozenset(what.fill))
        shapes.setdefault(shape, []).append({"of_session": session, **values})
    for (put, fill), rows in shapes.items():
        if put or fill:
            execute_many(connection, _update_of_shape(put, fill), rows)


@lru_cache(maxsize=64)
def _update_of_shape(put: frozenset[str], fill: frozenset[str]) -> Update:
    values: Row = {name: bindparam(f"new_{name}") for name in put}
    for name in fill:
        column = sessions.c[name]
        values[name] = case((or_(column.is_(None), column == _EMPTY), bindparam(f"new_{name}")), else_=column)
    return update(sessions).where(sessions.c.id == bindparam("of_session")).values(values)


_EMPTY: ColumnElement[str] = literal_column("''")
_INSERT_ENTRIES = insert(entries)
_INSERT_PAYLOADS = insert(payloads)
_INSERT_SESSIONS = insert(sessions)
_UPDATE_HEAD = update(head).where(head.c.id == literal_column("1"))
