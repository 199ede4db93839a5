"""What a purge takes next: a range of entries, or some of what earlier ranges passed over.

Sessions that have not ended, are held or kept are passed over, and so are entries without a session in which
somebody on legal hold has a part. So is what cannot be read: nobody can tell what it accounts for.
A tombstone names all of these, by id or by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from authz_service.audit.entry import PayloadRef, ReadEntry
from authz_service.audit.forgotten import Forgotten, Passed
from authz_service.audit.retention import STANDING, Retention
from authz_service.core.forgetting import PurgeRequest
from authz_service.errors import Misconfigured
from authz_service.store.first_since import first_since, time_of
from authz_service.store.kept_people import KeptPeople
from authz_service.store.schema import entries, payloads
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.standing_sessions import standing_sessions
from authz_service.store.transaction import Reader

ENTRIES_AT_ONCE = 400
LEFT_OVER_AT_ONCE = 20
AT_ONCE = 400  # SQLite bounds the parameters of a statement
SHARING = 64
"""How far from each other entries that account for one payload may stand: they were recorded by one call."""


@dataclass(slots=True)
class Batch:
    """Entries that are looked at, and what of them is to go."""

    first: int = 0
    last: int = 0
    but: set[Passed] = field(default_factory=set)
    only: tuple[Passed, ...] = ()
    taken: list[ReadEntry] = field(default_factory=list)
    has_more: bool = False


class LeftOver:
    """What earlier purges passed over, looked through once in one run from batch to batch."""

    def __init__(self, request: PurgeRequest, forgotten: Forgotten) -> None:
        self.request = request
        left = forgotten.left_over(request.retention)
        self._rest = sorted(left, key=lambda passed: (isinstance(passed, int), passed))
        self._ready: list[Passed] = []

    @property
    def has_more(self) -> bool:
        """Whether there is any that `take` has not come to."""
        return bool(self._rest or self._ready)

    def take(self, reader: Reader, forgotten: Forgotten, *, most: int = LEFT_OVER_AT_ONCE) -> list[Passed]:
        """The next whose time has come, a few, `most` of them; none at the end."""
        few = max(1, min(most, LEFT_OVER_AT_ONCE))
        while self._rest and not self._ready:
            some, self._rest = self._rest[:AT_ONCE], self._rest[AT_ONCE:]
            self._ready = ready(reader, self.request, forgotten, some)
        some, self._ready = self._ready[:few], self._ready[few:]
        return some


def begin_after(reader: Reader, request: PurgeRequest, forgotten: Forgotten) -> int:
    """The number after which to look: of values before masking there may be few, and long after the last."""
    after = forgotten.purged_up_to(request.retention)
    if request.retention is not Retention.ORIGINALS:
        return after
    last = reader.read(select(func.max(entries.c.seq))).scalar() or 0
    is_old = (payloads.c.retention == Retention.ORIGINALS.value) & (payloads.c.at < request.before)
    try:
        is_next = is_old & (
            payloads.c.at >= time_of(reader, after)
        )  # those before it were passed over, or kept
        oldest = reader.read(select(func.min(payloads.c.at)).where(is_next)).scalar()
        return max(after, last if oldest is None else first_since(reader, oldest, last) - 1)
    except Misconfigured:
        return after  # an entry that is looked at on the way cannot be read, or is missing


def left_over(reader: Reader, names: Sequence[Passed]) -> Batch:
    """A batch of what was passed over, and is `ready`."""
    return Batch(only=tuple(names), taken=_entries_of(reader, names), has_more=True)


def next_range(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, *, after: int, most: int | None = None
) -> Batch | None:
    """The next entries, `most` of them, from which something may be taken; None at the end."""
    at_once = ENTRIES_AT_ONCE if most is None else min(most, ENTRIES_AT_ONCE)
    found = _older(reader, after, request.before, at_once)
    if found.last == after:
        return None
    but = _passed(reader, request, forgotten, found.old) | found.unreadable
    taken = [e for e in found.old if not {e.session, e.sequence} & but and e.kind not in STANDING]
    return Batch(after + 1, found.last, but, (), taken, found.has_more)


@dataclass(slots=True)
class _Older:
    """The next entries that are old enough, the last number among them, and whether there may be more."""

    last: int
    old: list[ReadEntry] = field(default_factory=list)
    unreadable: set[Passed] = field(default_factory=set)
    has_more: bool = False


def _older(reader: Reader, after: int, before: int, at_once: int) -> _Older:
    """Those that are older than `before`.

    Those that were emptied already are passed: their time lies between that of their neighbours. So does that
    of one that cannot be read, which is passed over.
    """
    query = select(*SOUND).where(entries.c.seq > after).order_by(entries.c.seq)
    most = at_once + SHARING
    rows = reader.read(query.limit(most)).all()
    read = [sound(row) if row.body else None for row in rows]
    end = _not_between_equals(read, at_once)
    found = _Older(after, has_more=end < len(rows) or len(rows) == most)
    for row, entry in zip(rows[:end], read[:end], strict=True):
        if entry is not None and entry.at >= before:
            found.has_more = False
            return found
        if entry is not None:
            found.old.append(entry)
        elif row.body:
            found.unreadable.add(row.seq)
        found.last = row.seq
    return found


def _not_between_equals(read: Sequence[ReadEntry | None], at_once: int) -> int:
    """How many of these to take so that no entry is left that accounts for a payload which goes."""
    end = min(at_once, len(read))
    known = {ref.digest for entry in read[max(0, end - SHARING) : end] for ref in _refs(entry)}
    for place in range(end, len(read)):
        if any(ref.digest in known for ref in _refs(read[place])):
            known |= {ref.digest for entry in read[end : place + 1] for ref in _refs(entry)}
            end = place + 1
    return end


def _refs(entry: ReadEntry | None) -> Iterable[PayloadRef]:
    return () if entry is None else entry.payloads.values()


def ready(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, names: Sequence[Passed]
) -> list[Passed]:
    """Those of what was passed over whose time has come."""
    ids = [name for name in names if isinstance(name, str)]
    people = KeptPeople(reader, forgotten.kept_subjects())
    there, standing = standing_sessions(reader, request, forgotten, people, ids)
    numbers = [name for name in names if isinstance(name, int)]
    old = [entry for entry in _entries_of(reader, numbers) if entry.at < request.before]
    # One that could not be read may have a session; it goes no sooner than that.
    theirs = sorted({entry.session for entry in old if entry.session is not None})
    _, held = standing_sessions(reader, request, forgotten, people, theirs)
    kept = people.entries_of(old)
    single = {e.sequence for e in old if e.sequence not in kept and e.session not in held}
    free = (there - standing) | single
    return [name for name in names if name in free]


def _passed(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, old: Sequence[ReadEntry]
) -> set[Passed]:
    """Of these entries the sessions, and the numbers where there is none, that must not be touched yet."""
    names = sorted({entry.session for entry in old if entry.session is not None})
    people = KeptPeople(reader, forgotten.kept_subjects())
    there, standing = standing_sessions(reader, request, forgotten, people, names)
    alone = [entry for entry in old if entry.session not in there and entry.kind not in STANDING]
    return {*standing, *people.entries_of(alone)}


def _entries_of(reader: Reader, names: Sequence[Passed]) -> list[ReadEntry]:
    ids = [name for name in names if isinstance(name, str)]
    numbers = [name for name in names if isinstance(name, int)]
    found = entries.c.session.in_(ids) | entries.c.seq.in_(numbers)
    rows = reader.read(select(*SOUND).where(found).order_by(entries.c.seq)) if names else ()
    read = (sound(row) for row in rows if row.body)
    return [entry for entry in read if entry is not None]
