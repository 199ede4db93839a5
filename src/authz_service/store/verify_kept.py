"""The rows of `kept_results` held against the entries that say what a model server keeps, and for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import Erasure, Forgotten
from authz_service.audit.walk import Seen
from authz_service.core.kept import Row, rows_of
from authz_service.store.kept_rows import AT_ONCE, NOBODY
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import kept_results
from authz_service.store.verify_payloads import Say


class KeptCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._reader, self._say, self._forgotten = reader, say, forgotten
        self._last = 0
        """Up to which entry rows were compared, those of purged entries between the others too."""

    def page(self, seen: Sequence[Seen]) -> None:
        """Compare what these entries say with the rows of theirs.

        Of a purged entry, and of what somebody had who was erased, there may be rows without an owner. They
        say that others were given the same name, and only keep it from them.
        """
        if not seen:
            return
        said = {row for entry in seen for row in self._said(entry)}
        erased = {row: erasure for row in said if (erasure := self._forgotten.erased_rows(row[2], row[1]))}
        column = kept_results.c.seq
        between = select(kept_results).where(column > self._last, column <= seen[-1].sequence)
        rows = {(row.name, row.seq, row.owner) for row in self._reader.read(between)}
        self._last = seen[-1].sequence
        readable = {entry.sequence for entry in seen}
        may_be = {row for row, erasure in erased.items() if erasure.done is None}
        may_be |= {(name, sequence, NOBODY) for name, sequence, _ in erased}
        may_be |= {row for row in rows if row[2] == NOBODY and row[1] not in readable}
        is_due = set(self._due(erased, rows))
        for row in sorted((said - erased.keys() | is_due) - rows, key=_in_order):
            self._differs(row[1], has_row=False)
        for row in sorted(rows - (said - erased.keys()) - may_be, key=_in_order):
            self._differs(row[1], has_row=True)

    def end(self) -> None:
        """What no entry can have made; the last one can be read, as tombstones stay."""
        column = kept_results.c.seq
        for row in self._reader.read(select(kept_results).where((column < 1) | (column > self._last))):
            self._differs(row.seq, has_row=True)

    def _said(self, entry: Seen) -> list[Row]:
        document = entry.document
        if document["kind"] != Kind.ANSWER_KEPT:
            return []
        try:
            return rows_of(document["data"], entry.sequence)
        except (KeyError, TypeError, ValueError):
            self._say(f"entry {entry.sequence}", "does not say what is kept, or for whom")
            return []

    def _due(self, erased: Mapping[Row, Erasure], rows: set[Row]) -> Iterator[Row]:
        """The rows that an erasure had to leave without an owner: somebody else had that name already."""
        gone = [
            row for row in erased if (row[0], row[1], NOBODY) not in rows and erased[row].done is not None
        ]
        for start in range(0, len(gone), AT_ONCE):
            some = gone[start : start + AT_ONCE]
            have = kept_results.c.name.in_({name for name, _, _ in some}) & (kept_results.c.owner != NOBODY)
            owners: dict[str, list[tuple[int, str]]] = {}
            for other in self._reader.read(select(kept_results).where(have)):
                owners.setdefault(other.name, []).append((other.seq, other.owner))
            for name, sequence, owner in some:
                by = erased[name, sequence, owner]
                if any(n < by.ordered and who not in by.subjects for n, who in owners.get(name, ())):
                    yield name, sequence, NOBODY

    def _differs(self, sequence: int, *, has_row: bool) -> None:
        what = "has a row, and no entry says so" if has_row else "has an entry, and no row"
        self._say(f"whose it is, what entry {sequence} says is kept", what)


def _in_order(row: Row) -> tuple[int, Row]:
    return row[1], row
