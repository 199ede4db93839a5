"""The entries of one transaction: numbered, dated, salted, hashed into the tree, then written at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from authz_service.audit.columns import NEW_SESSION, Change, Value, applied, change, merged
from authz_service.audit.draft import DONE_BY, Data, EntryDraft, Kind
from authz_service.audit.entry import PayloadRef, encode
from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.core.kept import Row as KeptRow
from authz_service.core.kept import rows_of
from authz_service.store.database import HeadRow
from authz_service.store.doubt import Doubt
from authz_service.store.heads import Head, Heads
from authz_service.store.prepared import insert_rows, together, update_rows
from authz_service.store.schema import entries, head, kept_results, payloads, sessions
from authz_service.store.sealing import PAYLOAD_COLUMNS, PayloadRow, Payloads, Sealing

Names = tuple[str, ...]
Row = tuple[Any, ...]


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

    def __init__(
        self, found: HeadRow, *, now: int, instance: str, heads: Heads, sealing: Sealing | None = None
    ) -> None:
        self.now = max(now, found.last_at)
        self._frontier = Frontier.from_bytes(found.size, found.frontier)
        self._instance = instance
        self._heads = heads
        self._sealing = Sealing() if sealing is None else sealing
        self._recorded = 0
        self._last_leaf = b""
        self.drafts: list[EntryDraft] = []
        """What was recorded, in order."""
        self._entries: list[Row] = []
        self._payloads: list[PayloadRow] = []
        self._kept: list[KeptRow] = []
        self._begun: dict[str, dict[str, Value]] = {}
        self._changed: dict[str, Change] = {}

    @property
    def instance(self) -> str:
        """By which name the record knows this process."""
        return self._instance

    @property
    def recorded(self) -> int:
        """How many entries this transaction has recorded so far."""
        return self._recorded

    def record(self, drafts: Sequence[EntryDraft]) -> Recorded:
        """Add entries, in order. When one of them cannot be recorded, none is, and it raises.

        Equal payloads of one call, session, subject and class are stored once; others never, so that
        deleting one takes nothing from another.
        """
        now, first = self.now, self._frontier.size + 1
        new_entries: list[Row] = []
        new_payloads = Payloads(self._sealing, at=now)
        changes: list[tuple[int, str, Change]] = []
        digests: dict[str, bytes] = {}
        kept: list[KeptRow] = []
        for sequence, draft in enumerate(map(self._completed, drafts), first):
            refs: dict[str, PayloadRef] = {}
            for name, payload in draft.payloads.items():
                refs[name] = ref = new_payloads.ref(draft, name, payload)
                digests[name] = ref.digest
            body = encode(draft, sequence=sequence, at=now, payloads=refs)
            session = draft.session
            new_entries.append((sequence, session, body, leaf_hash(body)))
            if session is not None and (what := change(draft, at=now)) is not None:
                changes.append((sequence, session, what))
            elif draft.kind is Kind.ANSWER_KEPT:
                kept += rows_of(draft.data, sequence)
        for _, _, _, leaf in new_entries:
            self._frontier.append(leaf)
        for sequence, session, what in changes:
            self._change(sequence, session, what)
        self._entries += new_entries
        self._payloads += new_payloads.rows
        self._kept += kept
        self._recorded += len(new_entries)
        self.drafts += drafts
        if new_entries:
            self._last_leaf = new_entries[-1][3]
        return Recorded(first, self._frontier.size, digests)

    def changes(self, session: str) -> bool:
        """Whether what was recorded since the last flush changes the row of this session."""
        return session in self._begun or session in self._changed

    def flush(self, connection: Connection) -> None:
        """Write what was recorded since the last flush, a few statements for each table."""
        if self._entries:
            with together(connection):
                self._write(connection)

    def close(self, connection: Connection) -> None:
        """Write the rest and the new head; the transaction can be committed then."""
        if not self._recorded:
            return
        frontier = self._frontier
        new = Head(frontier.size, frontier.root(), frontier.to_bytes())
        with together(connection):
            self._write(connection)
            # Signed while PostgreSQL writes the rest.
            row = (new.size, new.root, new.frontier, self.now, self._heads.sign(new), 1)
            update_rows(connection, head, _HEAD_COLUMNS, (), [row])

    def _write(self, connection: Connection) -> None:
        if self._payloads:
            insert_rows(connection, payloads, PAYLOAD_COLUMNS, self._payloads)
        if self._entries:
            insert_rows(connection, entries, _ENTRY_COLUMNS, self._entries)
        if self._kept:
            insert_rows(connection, kept_results, _KEPT_COLUMNS, self._kept)
            self._kept = []
        if self._begun:
            _insert_sessions(connection, self._begun)
        if self._changed:
            _update_sessions(connection, self._changed)
        self._entries, self._payloads, self._begun, self._changed = [], [], {}, {}

    def in_doubt(self) -> Doubt | None:
        """How to find out later whether this was committed; None where nothing of it would show."""
        if not self._recorded:
            return None
        return Doubt(self._frontier.size, self._last_leaf, self.drafts)

    def _completed(self, draft: EntryDraft) -> EntryDraft:
        """The entry that a session begins with says whose it is to recover: its row does, and is derived.

        And a reading, a search, or the end of a session by an operator says who that was.
        """
        if draft.kind not in _COMPLETED:
            return draft
        by = DONE_BY.get(draft.kind)
        told = {"instance": self._instance} if by is None else self._done_by(draft, by)
        data: Data = {**draft.data, **told}
        return EntryDraft(draft.kind, draft.session, data, draft.payloads, draft.subject, draft.subjects)

    def _done_by(self, draft: EntryDraft, name: str) -> dict[str, str]:
        subject = self._sealing.subject(draft, name)
        return {name: subject} if subject else {}

    def _change(self, sequence: int, session: str, what: Change) -> None:
        if what.begins:
            if session in self._begun:
                raise ValueError("a session begins once")
            begun: dict[str, Value] = {"id": session, "seq": sequence, "instance": self._instance}
            self._begun[session] = {**begun, **applied(NEW_SESSION, what)}
        elif session in self._begun:
            self._begun[session] = applied(self._begun[session], what)
        elif session in self._changed:
            self._changed[session] = merged(self._changed[session], what)
        else:
            self._changed[session] = what


def _insert_sessions(connection: Connection, begun: Mapping[str, Mapping[str, Value]]) -> None:
    """One statement for all sessions that have values in the same columns; the others stay NULL."""
    shapes: dict[Names, list[Row]] = {}
    for row in begun.values():
        values = {name: value for name, value in row.items() if value is not None}
        shapes.setdefault(tuple(values), []).append(tuple(values.values()))
    for columns, rows in shapes.items():
        insert_rows(connection, sessions, columns, rows)


def _update_sessions(connection: Connection, changed: Mapping[str, Change]) -> None:
    """One statement for all sessions whose change has the same shape."""
    shapes: dict[tuple[Names, Names, Names], list[Row]] = {}
    for session, what in changed.items():
        move, moved = (_STATUS, (what.moves_to,)) if what.moves_to else _STAYS
        shape = (tuple(what.put), tuple(what.fill), move)
        row = (*what.put.values(), *what.fill.values(), *moved, session)
        shapes.setdefault(shape, []).append(row)
    for (put, fill, move), rows in shapes.items():
        if put or fill or move:
            update_rows(connection, sessions, put, fill, rows, move)


_STATUS: Names = ("status",)
_STAYS: tuple[Names, Names] = ((), ())
_COMPLETED = frozenset({Kind.REQUEST_RECEIVED, *DONE_BY})
_ENTRY_COLUMNS = ("seq", "session", "body", "leaf")
_KEPT_COLUMNS = ("name", "seq", "owner")
_HEAD_COLUMNS = ("size", "root", "frontier", "last_at", "signature")
