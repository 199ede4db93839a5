"""The rows of `kept_results` held against the entries that say what a model server keeps, and for whom."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.walk import Seen
from authz_service.core.kept import Row, rows_of
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import kept_results
from authz_service.store.verify_payloads import Say


class KeptCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._reader, self._say, self._forgotten = reader, say, forgotten

    def page(self, seen: Sequence[Seen]) -> None:
        """Compare what these entries say with the rows of theirs; purged entries have none."""
        if not seen:
            return
        derived = {row for entry in seen for row in self._derived(entry)}
        column = kept_results.c.seq
        between = select(kept_results).where(column >= seen[0].sequence, column <= seen[-1].sequence)
        rows = {(row.name, row.seq, row.owner) for row in self._reader.read(between)}
        for row in sorted(derived ^ rows, key=lambda row: (row[1], row)):
            if not self._is_being_erased(row):
                self._differs(row[1], has_row=row in rows)

    def end(self, size: int) -> None:
        """What no entry can have made."""
        column = kept_results.c.seq
        for row in self._reader.read(select(kept_results).where((column < 1) | (column > size))):
            self._differs(row.seq, has_row=True)

    def _derived(self, entry: Seen) -> list[Row]:
        document = entry.document
        if document["kind"] != Kind.ANSWER_KEPT:
            return []
        try:
            rows = rows_of(document["data"], entry.sequence)
        except (KeyError, TypeError, ValueError):
            self._say(f"entry {entry.sequence}", "does not say what is kept, or for whom")
            return []
        return [row for row in rows if self._forgotten.erased_rows(row[2], row[1]) is None]

    def _is_being_erased(self, row: Row) -> bool:
        """Whether it is still there since an erasure was ordered, and has not ended."""
        erasure = self._forgotten.erased_rows(row[2], row[1])
        return erasure is not None and erasure.done is None

    def _differs(self, sequence: int, *, has_row: bool) -> None:
        what = "has a row, and no entry says so" if has_row else "has an entry, and no row"
        self._say(f"whose it is, what entry {sequence} says is kept", what)
