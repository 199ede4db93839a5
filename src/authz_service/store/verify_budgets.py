"""The rows of `session_budgets` held against the entries that sessions began with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.walk import Seen
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import session_budgets
from authz_service.store.verify_payloads import Say


class BudgetsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say

    def page(self, seen: Sequence[Seen]) -> None:
        """Compare what counts for a group's budget among these entries; purged sessions have no rows."""
        if not seen:
            return
        begun = (entry for entry in seen if entry.document["kind"] == Kind.REQUEST_RECEIVED)
        derived = {(name, entry.sequence) for entry in begun for name in _budgets(entry)}
        column = session_budgets.c.session
        between = select(session_budgets).where(column >= seen[0].sequence, column <= seen[-1].sequence)
        rows = {(row.budget, row.session) for row in self._reader.read(between)}
        for name, sequence in sorted(derived ^ rows):
            self._differs(name, sequence, has_row=(name, sequence) in rows)

    def end(self, size: int) -> None:
        """What no entry can have made."""
        column = session_budgets.c.session
        for row in self._reader.read(select(session_budgets).where((column < 1) | (column > size))):
            self._differs(row.budget, row.session, has_row=True)

    def _differs(self, name: str, sequence: int, *, has_row: bool) -> None:
        budget = name if name.isprintable() else "a budget"
        what = "has a row, and no entry says so" if has_row else "has an entry, and no row"
        self._say(f"what entry {sequence} counts for in the budget {budget}", what)


def _budgets(entry: Seen) -> list[str]:
    document = entry.document
    if document["session"] is None:
        return []
    names = document["data"].get("budgets", [])
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
