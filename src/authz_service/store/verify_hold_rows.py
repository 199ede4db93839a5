"""The rows of `holds`, `votes` and `hold_acts` beside what their entries make of them: for verification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Integer, Select, Table, func, select, type_coerce

from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import hold_acts, holds, votes
from authz_service.store.verify_columns import say_differing
from authz_service.store.verify_payloads import Say
from authz_service.store.verify_standing import KnownHold

_CHANGING = (
    *("version", "changed", "state", "deadline", "released_to", "turn_at", "review"),
    *("begun_at", "forward", "forward_size", "digest"),
)
# As stored: read as a Boolean, any number would do for true.
_VOTES = select(
    *(c for c in votes.c if c.name != "approves"), type_coerce(votes.c.approves, Integer).label("approves")
)


class HoldRows:
    """Compares the rows of the database, and says what differs."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self._votes = self._acts = 0

    def compare_opened(self, opened: Mapping[str, dict[str, Any]]) -> None:
        """Compare the rows of these holds."""
        names = list(opened)
        for start in range(0, len(names), DIGESTS_AT_ONCE):
            query = select(holds).where(holds.c.id.in_(names[start : start + DIGESTS_AT_ONCE]))
            for row in self._reader.read(query):
                say_differing(self._say, _named(row.id), dict(row._mapping), opened[row.id])

    def compare_said(
        self,
        voted: Mapping[int, dict[str, Any]],
        acted: Mapping[int, dict[str, Any]],
        known: Mapping[str, KnownHold],
    ) -> None:
        """Compare the rows of these votes and acts, by the entries that tell of them."""
        self._votes += self._compare_said(_VOTES, votes, "vote", voted, known)
        self._acts += self._compare_said(select(hold_acts), hold_acts, "act", acted, known)

    def compare_standing(self, known: dict[str, KnownHold]) -> None:
        """Compare how all holds stand, and take them out of `known`; there may be no other rows."""
        for row in self._rows():
            derived = known.pop(row.id, None)
            if derived is None:
                self._say(_named(row.id), "has a row, and no entry that it opens with")
                continue
            for column in _CHANGING:
                if derived.is_known(column) and _stored(row, column) != getattr(derived, column):
                    self._say(_named(row.id), f"its column {column} is not what its entries make of it")
        for name, hold in known.items():
            if not hold.is_gone:
                self._say(_named(name), "has entries, and no row")
        for table, told in ((votes, self._votes), (hold_acts, self._acts)):
            there = self._reader.read(select(func.count()).select_from(table)).scalar_one()
            if there > told:
                self._say(table.name, f"{there - told} are there that no entry tells of")

    def _compare_said(
        self,
        query: Select[Any],
        table: Table,
        what: str,
        derived: Mapping[int, dict[str, Any]],
        known: Mapping[str, KnownHold],
    ) -> int:
        """Compare the rows of these entries; how many there are."""
        numbers = list(derived)
        there = 0
        for start in range(0, len(numbers), DIGESTS_AT_ONCE):
            some = numbers[start : start + DIGESTS_AT_ONCE]
            rows = {row.seq: row for row in self._reader.read(query.where(table.c.seq.in_(some)))}
            there += len(rows)
            for number in some:
                name = f"{what} of entry {number}"
                if number not in rows and known[derived[number]["hold"]].is_gone:
                    continue
                if number not in rows:
                    self._say(name, "has an entry, and no row")
                    continue
                say_differing(self._say, name, dict(rows[number]._mapping), derived[number])
        return there

    def _rows(self) -> Iterator[Any]:
        columns = [holds.c.id, *(holds.c[name] for name in _CHANGING)]
        after = ""
        while rows := self._reader.read(
            select(*columns).where(holds.c.id > after).order_by(holds.c.id).limit(1000)
        ).all():
            yield from rows
            after = rows[-1].id


def _stored(row: Any, column: str) -> Any:
    return bytes(row.forward).hex() if column == "forward" else getattr(row, column)


def _named(hold: str) -> str:
    return f"hold {hold}" if hold.isprintable() else "a hold"
