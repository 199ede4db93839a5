"""What people on legal hold have a part in, beside the sessions that are theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set

from sqlalchemy import select

from authz_service.audit.entry import ReadEntry
from authz_service.store.schema import entries, payloads
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.subjects import subject_of
from authz_service.store.transaction import Reader

SESSIONS_AT_ONCE = 20
DIGESTS_AT_ONCE = 400  # SQLite bounds the parameters of a statement


class KeptPeople:
    """Their votes, readings, searches, logins and exports: entries with a payload that is about them.

    An entry says so by pseudonym, or else by the key that the payload is sealed under.
    """

    def __init__(self, reader: Reader, subjects: Set[str]) -> None:
        self._reader, self._subjects = reader, subjects
        self._known_keys: frozenset[str] | None = None

    def entries_of(self, some: Iterable[ReadEntry]) -> set[int]:
        """The numbers of those of the entries that they have a part in."""
        if not self._subjects:
            return set()
        found: set[int] = set()
        others: dict[bytes, set[int]] = {}
        for entry in some:
            for name, ref in entry.payloads.items():
                if subject_of(entry.kind, entry.data, name, "") in self._subjects:
                    found.add(entry.sequence)
                else:
                    others.setdefault(ref.digest, set()).add(entry.sequence)
        return found.union(*(others[digest] for digest in self._sealed(sorted(others))))

    def sessions_of(self, names: Sequence[str]) -> set[str]:
        """Those of the sessions that they have a part in: others' requests that they voted on, or read.

        And those of which an entry cannot be read: nobody can tell.
        """
        found: set[str] = set()
        for start in range(0, len(names) if self._subjects else 0, SESSIONS_AT_ONCE):
            some = entries.c.session.in_(names[start : start + SESSIONS_AT_ONCE])
            rows = [row for row in self._reader.read(select(*SOUND).where(some)) if row.body]
            read = [(row.session, sound(row)) for row in rows]
            theirs = self.entries_of(entry for _, entry in read if entry is not None)
            found |= {name for name, entry in read if entry is None or entry.sequence in theirs}
        return found

    def _sealed(self, digests: Sequence[bytes]) -> set[bytes]:
        return sealed_under(self._reader, self._keys(), digests) if digests and self._keys() else set()

    def _keys(self) -> frozenset[str]:
        """Asked for once, and only where there is something that one of them may have sealed."""
        if self._known_keys is None:
            keyring = self._reader.keyring
            of_each = [] if keyring is None else [keyring.held(name) for name in sorted(self._subjects)]
            self._known_keys = frozenset(key for keys in of_each for key in keys)
        return self._known_keys


def sealed_under(reader: Reader, key_ids: Collection[str], digests: Sequence[bytes]) -> set[bytes]:
    """Those of these payloads that only these keys open."""
    found: set[bytes] = set()
    for start in range(0, len(digests), DIGESTS_AT_ONCE):
        some = payloads.c.digest.in_(digests[start : start + DIGESTS_AT_ONCE])
        rows = reader.read(select(payloads.c.digest, payloads.c.key).where(some))
        found |= {bytes(row.digest) for row in rows if row.key in key_ids}
    return found
