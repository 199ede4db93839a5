"""Erasing one person: the order on record, then their keys, then what is left of them, then the tombstone.

The order names the keys, and none of them seals anything new once it is on record. What is cut off stays
ordered, and is completed later. Each step may be done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select, update

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.forgotten import SESSION, Erasure, Forgotten, is_about_another
from authz_service.core.forgetting import Erased, Order
from authz_service.store.damage import damaged
from authz_service.store.erasing_kept import keys_of
from authz_service.store.erasing_look import Look
from authz_service.store.forgotten_rows import SeenForgotten, is_purged, read_forgotten
from authz_service.store.purge_batches import AT_ONCE
from authz_service.store.purging import WIPED, bring_near, ordered
from authz_service.store.schema import entries, holds, sessions
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader, Transaction

SESSIONS_AT_ONCE = 50


def order_erasure(transaction: Transaction, look: Look, order: Order | None) -> Erasure | None:
    """Put on record what is to go; None where too much is new since the `look`, and it has to be done anew.

    Without an `order` it is one that was given before, and did not name its keys. Raises `Conflict` while
    some of it is kept or in use.
    """
    if not look.is_fresh(transaction):
        return None
    look.require_free(transaction)
    subject, others, subjects = look.subject, look.names.others, look.subjects
    keyring = transaction.keyring
    keys = keys_of(keyring, subjects)
    also, named = list[Scalar](sorted(others)), list[Scalar](keys)
    data: Data = {"subject": subject, "also": also, "keys": named}
    draft = EntryDraft(Kind.RECORD_ERASURE_ORDERED, SESSION, data)
    recorded = transaction.record(ordered(transaction, draft, order))
    if keyring is not None:
        # What they say from now on is no part of it, however late these keys are destroyed.
        for name in sorted(subjects):
            keyring.retire(name)
    return Erasure(recorded.last, transaction.now, subject, frozenset(others), keys=frozenset(keys))


@dataclass(slots=True)
class SessionsLeft:
    """Some sessions with what is to be taken of them: payloads by `digests`, and holds.

    `last` is the number of the last one. `damaged` are entries that cannot be read: what they account for is
    not known, and lost with its key.
    """

    names: list[str]
    last: int
    digests: list[bytes] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SessionsTaken:
    """How many sessions, and payloads; `last` is the number of the last one."""

    last: int = 0
    sessions: int = 0
    payloads: int = 0
    damaged: list[str] = field(default_factory=list)

    def add(self, left: SessionsLeft, payloads: int) -> None:
        """These are gone."""
        self.last = left.last
        self.sessions += len(left.names)
        self.payloads += payloads
        self.damaged += left.damaged


def sessions_left(
    reader: Reader, erasure: Erasure, seen: SeenForgotten, *, after: int
) -> SessionsLeft | None:
    """The next sessions, read while nobody waits for it; None at the end. `seen` goes from call to call.

    Nothing is added any more to what was there before the order. Raises `Unavailable` (`record_damaged`) for
    an entry that cannot be read where payloads lie in clear.
    """
    mine = sessions.c.caller.in_(sorted(erasure.subjects)) & (sessions.c.seq > after)
    old = sessions.c.seq < erasure.ordered
    query = (
        select(sessions.c.id, sessions.c.seq)
        .where(mine & old)
        .order_by(sessions.c.seq)
        .limit(SESSIONS_AT_ONCE)
    )
    rows = reader.read(query).all()
    if not rows:
        return None
    found = SessionsLeft([row.id for row in rows], rows[-1].seq)
    damaged_ones = _add_entries(reader, erasure, found, seen)
    found.holds += _opened_by(reader, damaged_ones)
    found.damaged = [f"entry {number}" for number in damaged_ones]
    bring_near(reader, found.digests)
    return found


def wipe_sessions(transaction: Transaction, left: SessionsLeft) -> None:
    """Take what their rows say of people, once all else is gone."""
    transaction.change(update(sessions).where(sessions.c.id.in_(left.names)).values(WIPED))


def _add_entries(reader: Reader, erasure: Erasure, found: SessionsLeft, seen: SeenForgotten) -> list[int]:
    """Add what the entries of these sessions tell; the numbers of those that cannot be read."""
    unreadable: list[int] = []
    emptied: list[Row[Any]] = []
    digests: set[bytes] = set()
    old = entries.c.session.in_(found.names) & (entries.c.seq < erasure.ordered)
    for row in reader.read(select(*SOUND).where(old).order_by(entries.c.seq)):
        if not row.body:
            emptied.append(row)
            continue
        entry = sound(row)
        if entry is None:
            unreadable.append(row.seq)
            continue
        if entry.kind == Kind.HOLD_OPENED.value:
            found.holds.append(str(entry.data["hold"]))
        digests |= {
            ref.digest for name, ref in entry.payloads.items() if not is_about_another(entry.kind, name)
        }
    if emptied:
        forgotten = seen.read(reader)
        unreadable += [row.seq for row in emptied if not is_purged(row, forgotten)]
    if unreadable and reader.keyring is None:
        raise damaged(f"entry {min(unreadable)}")
    found.digests = sorted(digests)
    return sorted(unreadable)


def _opened_by(reader: Reader, numbers: Sequence[int]) -> list[str]:
    """The holds that were opened by these entries, which cannot be read: their rows name people in clear."""
    names: list[str] = []
    for start in range(0, len(numbers), AT_ONCE):
        some = holds.c.seq.in_(numbers[start : start + AT_ONCE])
        names += reader.read(select(holds.c.id).where(some)).scalars()
    return names


def _is_under_way(reader: Reader, erasure: Erasure, known: Forgotten) -> bool:
    erasures = read_forgotten(reader, known).erasures
    return any(one.ordered == erasure.ordered and one.done is None for one in erasures)


def finish(transaction: Transaction, erasure: Erasure, erased: Erased, known: Forgotten) -> None:
    """The tombstone, unless another process was first; `known` is what entries said of retention before."""
    if erasure.done is None and not _is_under_way(transaction, erasure, known):
        return
    keys: list[Scalar] = [*erased.keys]
    data: Data = {
        "subject": erasure.subject,
        "ordered": erasure.ordered,
        "sessions": erased.sessions,
        "payloads": erased.payloads,
        "votes": erased.votes,
        "keys": keys,
    }
    transaction.record(EntryDraft(Kind.RECORD_ERASED, SESSION, data))
