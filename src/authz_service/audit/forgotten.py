"""What the record says of what it let go of: purges, erasures, and what is kept in spite of them. Pure.

All of it is in entries that are filed under a session of their own. They are the tombstones: where a
payload or the bytes of an entry are missing, one of them accounts for it, or the record was damaged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from authz_service.audit.draft import BY_REVIEWERS, Kind
from authz_service.audit.retention import TAKEN_WITH, Retention

SESSION = "record.retention"
"""The session that these entries are filed under; no exchange has a name with a dot."""

_OF_OTHERS = frozenset(
    {
        *((kind.value, "voter") for kind in BY_REVIEWERS),
        (Kind.SESSION_READ.value, "reader"),
        (Kind.SESSION_READ.value, "reason"),
        (Kind.SESSION_KILLED.value, "operator"),
        (Kind.SESSION_KILLED.value, "reason"),
    }
)


@dataclass(frozen=True, slots=True)
class Purge:
    """One batch: the entries `first` to `last`, but for the sessions in `but`; or the sessions `only`."""

    sequence: int
    at: int
    retention: Retention
    first: int
    last: int
    but: frozenset[str]
    only: frozenset[str]
    policy: str
    entries: int
    """How many it took something from."""

    def has(self, sequence: int, session: str | None) -> bool:
        """Whether this batch took what an entry has of its class."""
        if self.only:
            return session in self.only and sequence < self.sequence
        return self.first <= sequence <= self.last and session not in self.but


@dataclass(slots=True)
class Erasure:
    """Of everything about a subject in entries before `ordered`; `done` is the entry that ended it.

    `also` are the other pseudonyms of the same person, `keys` the ids of the keys that were destroyed.
    """

    ordered: int
    at: int
    subject: str
    also: frozenset[str] = frozenset()
    done: int | None = None
    keys: frozenset[str] = frozenset()

    @property
    def subjects(self) -> frozenset[str]:
        """All pseudonyms of the person."""
        return self.also | {self.subject}


@dataclass(frozen=True, slots=True)
class Keep:
    """A session, or all of a subject's, that nothing may be taken from. `sequence` is its entry's."""

    id: str
    sequence: int
    at: int
    session: str | None
    subject: str | None


@dataclass(slots=True)
class Forgotten:
    """Made from the entries of `SESSION`, in order; `last` is the number of the last one."""

    purges: list[Purge] = field(default_factory=list)
    erasures: list[Erasure] = field(default_factory=list)
    keeps: dict[str, Keep] = field(default_factory=dict)
    last: int = 0
    _ranges: dict[Retention, list[Purge]] = field(default_factory=dict)
    _of_sessions: dict[tuple[Retention, str], list[Purge]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[tuple[int, int, str, Mapping[str, Any]]]) -> Forgotten:
        """From number, time (microseconds), kind and data; raises `ValueError` for data of another form."""
        return cls().followed_by(entries)

    def followed_by(self, entries: Iterable[tuple[int, int, str, Mapping[str, Any]]]) -> Forgotten:
        """With entries that came after these, as in `of`; this one stays as it is."""
        new = Forgotten(
            list(self.purges),
            [replace(erasure) for erasure in self.erasures],
            dict(self.keeps),
            self.last,
            {of: list(purges) for of, purges in self._ranges.items()},
            {of: list(purges) for of, purges in self._of_sessions.items()},
        )
        try:
            for sequence, at, kind, data in entries:
                new._take(sequence, at, kind, data)
                new.last = sequence
        except (KeyError, TypeError) as error:
            raise ValueError("an entry about retention has another form") from error
        return new

    def purged_up_to(self, retention: Retention) -> int:
        """The last entry that a purge of this class has come to."""
        return max((purge.last for purge in self.purges if purge.retention is retention), default=0)

    def emptied(self) -> int:
        """How many entries have lost their bytes: of one that has, nothing vouches for its session."""
        return sum(purge.entries for purge in self.purges if purge.retention is Retention.ENTRIES)

    def left_over(self, retention: Retention) -> set[str]:
        """The sessions that purges of this class passed over, and that none has taken since."""
        left: set[str] = set()
        for purge in self.purges:
            if purge.retention is retention:
                left = (left | purge.but) - purge.only
        return left

    def purge_of(self, retention: Retention, sequence: int, session: str | None) -> Purge | None:
        """The purge that took what the entry has of this class."""
        if not self.purges:  # verification asks for each entry
            return None
        for of in TAKEN_WITH[retention]:
            ranges = self._ranges.get(of, [])
            index = bisect_left(ranges, sequence, key=lambda purge: purge.last)
            near = [*ranges[index : index + 1], *self._of_sessions.get((of, session or ""), ())]
            found: Purge | None = next((p for p in near if p.has(sequence, session)), None)
            if found is not None:
                return found
        return None

    def took_payloads(self, sequence: int, session: str | None, caller: str) -> bool:
        """Whether what an entry has of its caller, in payloads and columns, was purged or erased."""
        is_erased = bool(caller) and self.erasure_of(caller, sequence) is not None
        return is_erased or self.purge_of(Retention.PAYLOADS, sequence, session) is not None

    def destroyed(self, key_id: str | None) -> bool:
        """Whether a tombstone says that this key was destroyed."""
        return any(key_id in erasure.keys for erasure in self.erasures)

    def erasure_of(self, subject: str, sequence: int) -> Erasure | None:
        """The erasure that took what the entry has about this subject."""
        return next((e for e in self.erasures if subject in e.subjects and sequence < e.ordered), None)

    def is_kept(self, session: str | None, subject: str | None) -> bool:
        """Whether nothing may be taken from this session of this subject."""
        return any(
            (keep.session is not None and keep.session == session)
            or (keep.subject is not None and keep.subject == subject)
            for keep in self.keeps.values()
        )

    def _add(self, purge: Purge) -> None:
        self.purges.append(purge)
        for session in purge.only:
            self._of_sessions.setdefault((purge.retention, session), []).append(purge)
        ranges = self._ranges.setdefault(purge.retention, [])
        if not purge.only and (not ranges or ranges[-1].last < purge.first):  # in order, as they are made
            ranges.append(purge)

    def _take(self, sequence: int, at: int, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case Kind.RECORD_PURGED:
                self._add(_purge(sequence, at, data))
            case Kind.RECORD_ERASURE_ORDERED:
                also = frozenset(data.get("also", ()))
                self.erasures.append(Erasure(sequence, at, str(data["subject"]), also))
            case Kind.RECORD_ERASED:
                for erasure in self.erasures:
                    if erasure.ordered == data["ordered"]:
                        erasure.done = sequence
                        erasure.keys |= frozenset(data["keys"])
            case Kind.RECORD_KEPT:
                keep = Keep(data["keep"], sequence, at, data["session"], data["subject"])
                self.keeps[keep.id] = keep
            case Kind.RECORD_KEEP_LIFTED:
                self.keeps.pop(data["keep"], None)
            case _:
                pass


def is_about_another(kind: str, name: str) -> bool:
    """Whether a payload of a session is about somebody else than whose session it is."""
    return (kind, name) in _OF_OTHERS


def _purge(sequence: int, at: int, data: Mapping[str, Any]) -> Purge:
    return Purge(
        sequence,
        at,
        Retention(data["class"]),
        int(data["first"]),
        int(data["last"]),
        frozenset(data["but"]),
        frozenset(data["only"]),
        str(data["policy"]),
        int(data["entries"]),
    )
