"""What a purge takes next: a range of entries, or some of what earlier ranges passed over.

Sessions that have not ended, are held or kept are passed over, and so are entries without a session in which
somebody on legal hold has a part. A tombstone names both, by id and by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from authz_service.audit.entry import ReadEntry, decode
from authz_service.audit.forgotten import Forgotten, Passed
from authz_service.audit.retention import STANDING, Retention
from authz_service.core.acts import Review
from authz_service.core.forgetting import PurgeRequest
from authz_service.store.first_since import first_since, time_of
from authz_service.store.grant_queries import in_force
from authz_service.store.hold_standing import OPEN
from authz_service.store.kept_people import KeptPeople
from authz_service.store.schema import entries, grant_uses, grants, holds, payloads, sessions
from authz_service.store.transaction import Reader

ENTRIES_AT_ONCE = 400
LEFT_OVER_AT_ONCE = 20
AT_ONCE = 400  # SQLite bounds the parameters of a statement


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

    def take(self, reader: Reader, forgotten: Forgotten) -> list[Passed]:
        """The next whose time has come, a few; none at the end."""
        while self._rest and not self._ready:
            some, self._rest = self._rest[:AT_ONCE], self._rest[AT_ONCE:]
            self._ready = ready(reader, self.request, forgotten, some)
        some, self._ready = self._ready[:LEFT_OVER_AT_ONCE], self._ready[LEFT_OVER_AT_ONCE:]
        return some


def begin_after(reader: Reader, request: PurgeRequest, forgotten: Forgotten) -> int:
    """The number after which to look: of values before masking there may be few, and long after the last."""
    after = forgotten.purged_up_to(request.retention)
    if request.retention is not Retention.ORIGINALS:
        return after
    last = reader.read(select(func.max(entries.c.seq))).scalar() or 0
    is_old = (payloads.c.retention == Retention.ORIGINALS.value) & (payloads.c.at < request.before)
    is_next = is_old & (payloads.c.at >= time_of(reader, after))  # those before it were passed over, or kept
    oldest = reader.read(select(func.min(payloads.c.at)).where(is_next)).scalar()
    return max(after, last if oldest is None else first_since(reader, oldest, last) - 1)


def left_over(reader: Reader, names: Sequence[Passed]) -> Batch:
    """A batch of what was passed over, and is `ready`."""
    return Batch(only=tuple(names), taken=_entries_of(reader, names), has_more=True)


def next_range(reader: Reader, request: PurgeRequest, forgotten: Forgotten, *, after: int) -> Batch | None:
    """The next entries from which something may be taken; None at the end."""
    last, old, has_more = _older(reader, after, request.before)
    if last == after:
        return None
    but = _passed(reader, request, forgotten, old)
    taken = [e for e in old if not {e.session, e.sequence} & but and e.kind not in STANDING]
    return Batch(after + 1, last, but, (), taken, has_more)


def _older(reader: Reader, after: int, before: int) -> tuple[int, list[ReadEntry], bool]:
    """The next entries that are older than `before`, the last number among them, and whether more may be.

    Those that were emptied already are passed: their time lies between that of their neighbours.
    """
    query = select(entries.c.seq, entries.c.body).where(entries.c.seq > after)
    last = after
    old: list[ReadEntry] = []
    rows = reader.read(query.order_by(entries.c.seq).limit(ENTRIES_AT_ONCE)).all()
    for row in rows:
        if row.body:
            entry = decode(bytes(row.body))
            if entry.at >= before:
                return last, old, False
            old.append(entry)
        last = row.seq
    return last, old, len(rows) == ENTRIES_AT_ONCE


def ready(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, names: Sequence[Passed]
) -> list[Passed]:
    """Those of what was passed over whose time has come."""
    ids = [name for name in names if isinstance(name, str)]
    people = KeptPeople(reader, forgotten.kept_subjects())
    there, standing = _sessions(reader, request, forgotten, people, ids)
    numbers = [name for name in names if isinstance(name, int)]
    old = [entry for entry in _entries_of(reader, numbers) if entry.at < request.before]
    kept = people.entries_of(old)
    free = (there - standing) | {entry.sequence for entry in old if entry.sequence not in kept}
    return [name for name in names if name in free]


def _passed(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, old: Sequence[ReadEntry]
) -> set[Passed]:
    """Of these entries the sessions, and the numbers where there is none, that must not be touched yet."""
    names = sorted({entry.session for entry in old if entry.session is not None})
    people = KeptPeople(reader, forgotten.kept_subjects())
    there, standing = _sessions(reader, request, forgotten, people, names)
    alone = [entry for entry in old if entry.session not in there and entry.kind not in STANDING]
    return {*standing, *people.entries_of(alone)}


def _sessions(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, people: KeptPeople, names: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Those that there are, and those of them from which nothing may be taken yet."""
    columns = (sessions.c.id, sessions.c.caller, sessions.c.ended_at)
    there: set[str] = set()
    standing: set[str] = set()
    for row in reader.read(select(*columns).where(sessions.c.id.in_(names))).all() if names else ():
        there.add(row.id)
        has_ended = row.ended_at is not None and row.ended_at < request.before
        if (
            not has_ended
            or forgotten.is_kept(row.id, row.caller)
            or _is_held(reader, row.id, request.retention)
        ):
            standing.add(row.id)
    return there, standing | people.sessions_of(sorted(there - standing))


def _is_held(reader: Reader, session: str, retention: Retention) -> bool:
    """Whether what it asked for may still be released, its release be reviewed, or a grant of it be used.

    The entry of a use stays as long as its grant: how often that was used is derived from it.
    """
    is_open = holds.c.state.in_([state.value for state in OPEN]) | (holds.c.review == Review.DUE.value)
    has_grant = holds.c.id.in_(select(grants.c.hold).where(in_force(reader.now)))
    query = select(holds.c.id).where(holds.c.session == session, is_open | has_grant)
    if reader.read(query).first() is not None:
        return True
    used = select(grant_uses.c.seq).where(grant_uses.c.session == session)
    return retention is Retention.ENTRIES and reader.read(used).first() is not None


def _entries_of(reader: Reader, names: Sequence[Passed]) -> list[ReadEntry]:
    ids = [name for name in names if isinstance(name, str)]
    numbers = [name for name in names if isinstance(name, int)]
    found = entries.c.session.in_(ids) | entries.c.seq.in_(numbers)
    query = select(entries.c.body).where(found).order_by(entries.c.seq)
    return [decode(bytes(body)) for body in reader.read(query).scalars() if body] if names else []
