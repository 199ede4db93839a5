"""Who of some people has a part in which session, by its entries: it is theirs, or they voted on or read it.

It is found without the writer's lock: all entries are looked through once, and later only what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, or_, select

from authz_service.audit.draft import BY_REVIEWERS, DONE_BY, Kind
from authz_service.audit.entry import ReadEntry
from authz_service.store.bulk_rows import told_bytes
from authz_service.store.entry_bytes import has_bytes, may_be
from authz_service.store.kept_people import KeptPeople
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.subjects import subject_of
from authz_service.store.transaction import Reader

ENTRIES_AT_ONCE = 20_000

_TELLING = frozenset(
    kind.value for kind in (*BY_REVIEWERS, *DONE_BY, Kind.REQUEST_RECEIVED, Kind.NOTIFICATION_RETRIED)
)
_NAMELESS = (*DONE_BY, Kind.NOTIFICATION_RETRIED)
"""Kinds that name nobody in entries of before: the key alone tells that a payload is sealed under."""


@dataclass(slots=True)
class Parts:
    """Of the entries up to `last`: the sessions that each of `people` (pseudonyms) has a part in."""

    people: frozenset[str]
    last: int = 0
    sessions: dict[str, set[str]] = field(default_factory=dict)

    def read_on(self, reader: Reader, last: int) -> None:
        """Look at the entries up to the number `last`."""
        while self.last < last:
            until = min(last, self.last + ENTRIES_AT_ONCE)
            between = (entries.c.seq > self.last) & (entries.c.seq <= until)
            found = reader.read(select(*SOUND).where(between, self._is_telling(reader)))
            self._take(reader, [(told_bytes(row.body), row.session, sound(row)) for row in found])
            self.last = until

    def beside(self, subjects: Set[str]) -> set[str]:
        """Those who have a part in something that `subjects` have a part in too."""
        shared = (people for people in self.sessions.values() if not people.isdisjoint(subjects))
        return set().union(*shared)

    def _is_telling(self, reader: Reader) -> ColumnElement[bool]:
        """Whether the bytes of an entry have one of the names, or may be of a kind that names nobody."""
        named = (has_bytes(reader, name.encode()) for name in sorted(self.people))
        return or_(*named, *(may_be(reader, kind) for kind in _NAMELESS))

    def _take(self, reader: Reader, read: Iterable[tuple[bytes, str | None, ReadEntry | None]]) -> None:
        nameless: list[ReadEntry] = []
        for body, session, entry in read:
            if session is None:
                continue
            if entry is None:  # altered: of whomever its bytes name
                self._add(session, {name for name in self.people if name.encode() in body})
            elif entry.kind in _TELLING:
                self._add(session, self.people & _named_in(entry))
                nameless += [entry] if entry.kind in _NAMELESS else []
        for name in sorted(self.people) if nameless else ():
            theirs = KeptPeople(reader, {name}).entries_of(nameless)
            for entry in nameless:
                if entry.sequence in theirs and entry.session is not None:
                    self._add(entry.session, {name})

    def _add(self, session: str, people: Set[str]) -> None:
        if people:
            self.sessions.setdefault(session, set()).update(people)


def named_in(reader: Reader, session: str, people: Set[str]) -> set[str]:
    """Those of the people who have a part in one session."""
    rows = reader.read(select(*SOUND).where(entries.c.session == session)).all()
    parts = Parts(frozenset(people))
    parts._take(reader, [(told_bytes(row.body), row.session, sound(row)) for row in rows if row.body])
    return parts.sessions.get(session, set())


def _named_in(entry: ReadEntry) -> set[str]:
    named = {subject_of(entry.kind, entry.data, name, "") for name in entry.payloads}
    return named | ({str(entry.data.get("caller"))} if entry.kind == Kind.REQUEST_RECEIVED else set())
