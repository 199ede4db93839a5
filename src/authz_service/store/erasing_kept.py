"""Whether a legal hold keeps something of who is to be erased: theirs, or what they have a part in."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from sqlalchemy import func, select

from authz_service.audit.entry import ReadEntry
from authz_service.audit.forgotten import Forgotten, Keep
from authz_service.errors import Conflict
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.kept_parts import Parts, named_in
from authz_service.store.kept_people import sealed_under
from authz_service.store.keyring import Keyring
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader

MOST_NEW = 2000
"""Entries that may be looked through in the writer's transaction: some milliseconds."""


@dataclass(slots=True)
class KeptLook:
    """Whether a legal hold is on what these people (pseudonyms) have a part in, up to the entry `last`.

    The long part of it is done outside of the writer's transaction, on views of what is committed.
    """

    subjects: frozenset[str]
    known: Forgotten = field(default_factory=Forgotten)
    last: int = 0
    _parts: Parts = field(default_factory=lambda: Parts(frozenset()))
    _beside: Set[str] = frozenset()

    def read_on(self, reader: Reader) -> int:
        """Look at what is new since, or at all where others are on legal hold; how many entries were new.

        Raises `Conflict` while a legal hold is on anything that these people have a part in.
        """
        last, new = last_of(reader), self.behind(reader)
        self.known = read_forgotten(reader, self.known)
        people = self._people(self.known)
        if people and not people <= self._parts.people:
            self._parts = Parts(people)
        if people:
            self._parts.read_on(reader, last)
        self._beside = self._parts.beside(self.subjects)
        self._refuse(reader, self.known.keeps.values(), self._beside)
        self.last = last
        return new

    def behind(self, reader: Reader) -> int:
        """How many entries have come since."""
        return last_of(reader) - self.last

    def is_fresh(self, reader: Reader) -> bool:
        """Whether what is left to do is little enough for the writer's transaction."""
        people = self._people(read_forgotten(reader, self.known))
        return self.behind(reader) <= MOST_NEW and people <= self._parts.people

    def require_free(self, reader: Reader) -> None:
        """As `read_on`, and nothing of it is remembered: a transaction may be rolled back."""
        known = read_forgotten(reader, self.known)
        new = Parts(self._parts.people, self.last)
        if new.people:
            new.read_on(reader, last_of(reader))
        before = self._parts.sessions
        both = {name: people | before.get(name, set()) for name, people in new.sessions.items()}
        beside = Parts(new.people, sessions=both).beside(self.subjects)
        self._refuse(reader, self._to_ask(reader, known), beside | self._beside)

    def _people(self, known: Forgotten) -> frozenset[str]:
        """Whose parts matter: nobody's where nobody else is on legal hold."""
        others = known.kept_subjects() - self.subjects
        return others | self.subjects if others else frozenset()

    def _to_ask(self, reader: Reader, known: Forgotten) -> list[Keep]:
        """The legal holds but for those on sessions of which nothing is new since: these were asked of."""
        query = select(entries.c.session).where(entries.c.seq > self.last).distinct()
        new = set(reader.read(query).scalars())
        return [
            keep
            for keep in known.keeps.values()
            if keep.session is None or keep.sequence > self.last or keep.session in new
        ]

    def _refuse(self, reader: Reader, keeps: Iterable[Keep], beside: Set[str]) -> None:
        kept = [keep.id for keep in keeps if self._is_in_the_way(reader, keep, beside)]
        if kept:
            raise Conflict(f"a legal hold is on this: lift {', '.join(kept)} first", code="kept")

    def _is_in_the_way(self, reader: Reader, keep: Keep, beside: Set[str]) -> bool:
        if keep.session is None:
            return keep.subject in self.subjects or keep.subject in beside
        if named_in(reader, keep.session, self.subjects):
            return True
        key_ids = keys_of(reader.keyring, self.subjects)
        return bool(key_ids) and bool(sealed_under(reader, key_ids, _digests(reader, keep.session)))


def last_of(reader: Reader) -> int:
    """The number of the last entry; 0 where there is none."""
    return reader.read(select(func.max(entries.c.seq))).scalar() or 0


def keys_of(keyring: Keyring | None, subjects: Set[str]) -> list[str]:
    """The ids of all keys that open what is on record of these."""
    return [] if keyring is None else sorted(key for name in subjects for key in keyring.held(name))


def _digests(reader: Reader, session: str) -> list[bytes]:
    rows = reader.read(select(*SOUND).where(entries.c.session == session)).all()
    read: list[ReadEntry | None] = [sound(row) for row in rows if row.body]
    return sorted({ref.digest for entry in read if entry is not None for ref in entry.payloads.values()})
