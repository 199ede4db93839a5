"""What the record says of what it let go of: purges, erasures, and what is kept in spite of them. Pure.

All of it is in entries that are filed under a session of their own. They are the tombstones: where a
payload or the bytes of an entry are missing, one of them accounts for it, or the record was damaged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Set
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
        (Kind.NOTIFICATION_RETRIED.value, "operator"),
    }
)


Passed = str | int
"""What a purge passes over, and another takes later: a session, or the number of an entry that has none."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One batch: the entries `first` to `last`, but for what is in `but`; or what is in `only`."""

    sequence: int
    at: int
    retention: Retention
    first: int
    last: int
    but: frozenset[Passed]
    only: frozenset[Passed]
    policy: str
    entries: int
    """How many it took something from."""

    def has(self, sequence: int, session: str | None) -> bool:
        """Whether this batch took what an entry has of its class."""
        if self.only:
            return not self.only.isdisjoint((session, sequence)) and sequence < self.sequence
        return self.first <= sequence <= self.last and self.but.isdisjoint((session, sequence))


@dataclass(slots=True)
class Erasure:
    """Of everything about a subject in entries before `ordered`; `done` is the entry that ended it.

    `also` are the other pseudonyms of the same person, `keys` the ids of the keys that are destroyed.
    Payloads from `ordered` to `done` may be lost with it: what was on its way into the record, or came by
    another replica, was sealed under these keys still.
    """

    ordered: int
    at: int
    subject: str
    also: frozenset[str] = frozenset()
    done: int | None = None
    keys: frozenset[str] = frozenset()
    has_named_keys: bool = True
    """False for an order of an earlier version: which keys it meant was not said before it was done."""

    @property
    def subjects(self) -> frozenset[str]:
        """All pseudonyms of the person."""
        return self.also | {self.subject}

    def reaches(self, sequence: int) -> bool:
        """Whether payloads of an entry are gone with these keys, or may be."""
        return sequence <= (self.done or self.ordered)


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
    _later: dict[tuple[Retention, Passed], tuple[Purge, ...]] = field(default_factory=dict)
    _left: dict[Retention, set[Passed]] = field(default_factory=dict)
    _of_subjects: dict[str, list[Erasure]] = field(default_factory=dict)
    _destroyed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, entries: Iterable[tuple[int, int, str, Mapping[str, Any]]]) -> Forgotten:
        """From number, time (microseconds), kind and data; raises `ValueError` for data of another form."""
        return cls().followed_by(entries)

    def followed_by(self, entries: Iterable[tuple[int, int, str, Mapping[str, Any]]]) -> Forgotten:
        """With entries that came after these, as in `of`; this one stays as it is."""
        new = Forgotten(
            list(self.purges),
            [],
            dict(self.keeps),
            self.last,
            {of: list(purges) for of, purges in self._ranges.items()},
            dict(self._later),
            {of: set(passed) for of, passed in self._left.items()},
        )
        for erasure in self.erasures:
            new._begin(replace(erasure))
        try:
            for sequence, at, kind, data in entries:
                new._take(sequence, at, kind, data)
                new.last = sequence
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("an entry about retention has another form") from error
        return new

    def purged_up_to(self, retention: Retention) -> int:
        """The last entry that a purge of this class has come to."""
        return max((purge.last for purge in self.purges if purge.retention is retention), default=0)

    def emptied(self) -> int:
        """How many entries have lost their bytes: of one that has, nothing vouches for its session."""
        return sum(purge.entries for purge in self.purges if purge.retention is Retention.ENTRIES)

    def left_over(self, retention: Retention) -> Set[Passed]:
        """What purges of this class passed over, and none has taken since."""
        return self._left.get(retention, frozenset())

    def purge_of(self, retention: Retention, sequence: int, session: str | None) -> Purge | None:
        """The purge that took what the entry has of this class."""
        if not self.purges:  # verification asks for each entry
            return None
        for of in TAKEN_WITH[retention]:
            ranges = self._ranges.get(of, [])
            index = bisect_left(ranges, sequence, key=lambda purge: purge.last)
            later = (*self._later.get((of, session or ""), ()), *self._later.get((of, sequence), ()))
            near = [*ranges[index : index + 1], *later]
            found: Purge | None = next((p for p in near if p.has(sequence, session)), None)
            if found is not None:
                return found
        return None

    def took_payloads(self, sequence: int, session: str | None, caller: str) -> bool:
        """Whether what an entry has of its caller, in payloads and columns, was purged or erased."""
        is_erased = self.erased_rows(caller, sequence) is not None
        return is_erased or self.purge_of(Retention.PAYLOADS, sequence, session) is not None

    def destroyed(self, key_id: str | None) -> bool:
        """Whether an entry says that this key is destroyed, whoever's it was."""
        return key_id in self._destroyed

    def going(self) -> frozenset[str]:
        """The keys that are ordered to be destroyed, and no entry says that they were."""
        return frozenset(key for erasure in self.erasures if erasure.done is None for key in erasure.keys)

    def lost_with(self, key_id: str, subject: str, sequence: int) -> bool:
        """Whether what the entry has about this subject is lost with this very key of theirs.

        An erasure that is under way has no end yet, and its keys may be gone already.
        """
        return any(
            key_id in erasure.keys and (erasure.done is None or erasure.reaches(sequence))
            for erasure in self._of_subjects.get(subject, ())
        )

    def erasure_of(self, subject: str, sequence: int) -> Erasure | None:
        """The erasure with which payloads of the entry about this subject are gone, or may be.

        That is up to and with the entry that ended it; see `Erasure`.
        """
        erasures = self._of_subjects.get(subject, ())
        return next((erasure for erasure in erasures if erasure.reaches(sequence)), None)

    def erased_rows(self, subject: str, sequence: int) -> Erasure | None:
        """The erasure that took rows and columns made from the entry: only what came before its order."""
        erasures = self._of_subjects.get(subject, ())
        return next((erasure for erasure in erasures if sequence < erasure.ordered), None)

    def is_being_erased(self, subject: str, sequence: int) -> bool:
        """Whether rows and columns made from the entry may be there or not: an erasure was cut off."""
        erasure = self.erased_rows(subject, sequence)
        return erasure is not None and erasure.done is None

    def is_kept(self, session: str | None, subject: str | None) -> bool:
        """Whether nothing may be taken from this session of this subject."""
        return any(
            (keep.session is not None and keep.session == session)
            or (keep.subject is not None and keep.subject == subject)
            for keep in self.keeps.values()
        )

    def kept_subjects(self) -> frozenset[str]:
        """Whom a legal hold is on."""
        return frozenset(keep.subject for keep in self.keeps.values() if keep.subject is not None)

    def _add(self, purge: Purge) -> None:
        self.purges.append(purge)
        for passed in purge.only:
            place = purge.retention, passed
            self._later[place] = (*self._later.get(place, ()), purge)
        left = self._left.setdefault(purge.retention, set())
        left |= purge.but
        left -= purge.only
        ranges = self._ranges.setdefault(purge.retention, [])
        if not purge.only and (not ranges or ranges[-1].last < purge.first):  # in order, as they are made
            ranges.append(purge)

    def _begin(self, erasure: Erasure) -> None:
        self.erasures.append(erasure)
        for subject in erasure.subjects - {""}:
            self._of_subjects.setdefault(subject, []).append(erasure)
        self._destroyed |= erasure.keys

    def _end(self, sequence: int, ordered: int, keys: frozenset[str]) -> None:
        """An erasure is done, and with it those that were ordered before of nobody else."""
        self._destroyed |= keys
        ended = next((erasure for erasure in self.erasures if erasure.ordered == ordered), None)
        if ended is None:
            return
        ended.keys |= keys
        for erasure in self.erasures:
            is_part = erasure.ordered <= ordered and erasure.subjects <= ended.subjects
            if is_part and erasure.done is None:  # one whose keys came back is ended again
                erasure.done = sequence

    def _take(self, sequence: int, at: int, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case Kind.RECORD_PURGED:
                self._add(_purge(sequence, at, data))
            case Kind.RECORD_ERASURE_ORDERED:
                also, keys = frozenset(data.get("also", ())), frozenset(data.get("keys", ()))
                subject, has_named = str(data["subject"]), "keys" in data
                self._begin(Erasure(sequence, at, subject, also, keys=keys, has_named_keys=has_named))
            case Kind.RECORD_ERASED:
                self._end(sequence, int(data["ordered"]), frozenset(data["keys"]))
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
