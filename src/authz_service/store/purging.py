"""Purging by age: one batch of entries, or of what was passed over before, in one transaction.

A session goes as a whole, once it has ended before the time in question and nobody keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, func, select, update

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.entry import ReadEntry, rfc3339
from authz_service.audit.forgotten import SESSION, Forgotten, Passed
from authz_service.audit.retention import TAKEN_WITH, Retention, retention_of
from authz_service.core.forgetting import Order, Purged, PurgeRequest
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.kept_people import KeptPeople
from authz_service.store.kept_rows import take_entries
from authz_service.store.purge_batches import (
    AT_ONCE,
    Batch,
    LeftOver,
    begin_after,
    left_over,
    next_range,
    ready,
)
from authz_service.store.schema import (
    entries,
    grant_acts,
    grant_uses,
    grants,
    hold_acts,
    holds,
    outbox,
    payloads,
    session_budgets,
    sessions,
    votes,
)
from authz_service.store.standing_sessions import standing_sessions
from authz_service.store.transaction import Reader, Transaction

WIPED: Mapping[str, str | None] = {"caller_detail": None, "subject": "", "person": "", "path": ""}
"""The columns of a session that go with its payloads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to go in one transaction, as it was on record up to the entry `seen`, and by `known`."""

    request: PurgeRequest
    known: Forgotten
    seen: int
    batch: Batch
    digests: Sequence[bytes]
    size: int

    @property
    def sessions(self) -> list[str]:
        """Those of what is taken."""
        return sorted({entry.session for entry in self.batch.taken if entry.session is not None})


def plan(
    reader: Reader, request: PurgeRequest, known: Forgotten, left: Sequence[Passed], *, most: int
) -> Plan | None:
    """The next batch: of what is `left` over, or else a range of `most` entries; None at the end.

    All that takes long is done here, so that nobody waits for it.
    """
    forgotten = read_forgotten(reader, known)
    over = ready(reader, request, forgotten, left)
    if over:
        batch: Batch | None = left_over(reader, over)
    else:
        after = begin_after(reader, request, forgotten)
        batch = next_range(reader, request, forgotten, after=after, most=most)
    if batch is None:
        return None
    digests, size = _payloads_of(batch.taken, request.retention)
    bring_near(reader, digests)
    seen = reader.read(select(func.max(entries.c.seq))).scalar() or 0
    return Plan(request, forgotten, seen, batch, digests, size)


def bring_near(reader: Reader, digests: Sequence[bytes]) -> None:
    """Have the database read what is to be deleted: from a slow disk the writer would wait for it."""
    for start in range(0, len(digests), AT_ONCE):
        some = payloads.c.digest.in_(digests[start : start + AT_ONCE])
        reader.read(select(func.count(payloads.c.at)).where(some)).scalar()


def take(transaction: Transaction, planned: Plan) -> Purged | None:
    """Take what was planned, with its tombstone; None where that has to be planned anew."""
    if not _is_fresh(transaction, planned):
        return None
    request, batch = planned.request, planned.batch
    digests, size = planned.digests, planned.size
    transaction.record(ordered(transaction, _tombstone(request, batch, digests, size), request.order))
    delete_payloads(transaction, digests)
    # One that is taken by its number could not be read when its session went.
    gone = {e.session for e in batch.taken if e.session is not None and e.sequence not in batch.only}
    match request.retention:
        case Retention.ENTRIES:
            _forget_holds(transaction, batch.taken)
            _empty(transaction, [entry.sequence for entry in batch.taken])
            take_entries(transaction, [e.sequence for e in batch.taken if e.kind == Kind.ANSWER_KEPT.value])
            _delete_sessions(transaction, gone)
        case Retention.PAYLOADS:
            _forget_holds(transaction, batch.taken)
            _wipe_sessions(transaction, gone)
        case Retention.ORIGINALS:
            pass
    return Purged(len(batch.taken), len(digests), size, batch.has_more)


def _is_fresh(reader: Reader, planned: Plan) -> bool:
    """Whether all of it may still go: nothing is kept, held or taken elsewhere since, nor more there."""
    if read_forgotten(reader, planned.known) is not planned.known:
        return False
    kept = planned.known.kept_subjects()
    # All of what was passed over goes, and what people on legal hold said stays.
    if kept or planned.batch.only:
        new = entries.c.session.in_(planned.sessions) & (entries.c.seq > planned.seen)
        if reader.read(select(entries.c.seq).where(new).limit(1)).first() is not None:
            return False
    nobody = KeptPeople(reader, frozenset())
    _, standing = standing_sessions(reader, planned.request, planned.known, nobody, planned.sessions)
    return not standing


def preview(reader: Reader, request: PurgeRequest) -> Purged:
    """What all batches would take."""
    forgotten = read_forgotten(reader)
    total = Purged()
    run = LeftOver(request, forgotten)
    while over := run.take(reader, forgotten):
        total += _planned(left_over(reader, over), request.retention)
    after = begin_after(reader, request, forgotten)
    while (batch := next_range(reader, request, forgotten, after=after)) is not None:
        total += _planned(batch, request.retention)
        after = batch.last
    return total


def _planned(batch: Batch, retention: Retention) -> Purged:
    digests, size = _payloads_of(batch.taken, retention)
    return Purged(len(batch.taken), len(digests), size)


def _payloads_of(taken: Iterable[ReadEntry], retention: Retention) -> tuple[list[bytes], int]:
    """The payloads that go, and their size; with the entries go all that they account for."""
    digests: dict[bytes, int] = {}
    for entry in taken:
        for name, ref in entry.payloads.items():
            if retention in TAKEN_WITH[retention_of(entry.kind, name)]:
                digests[ref.digest] = ref.size
    return sorted(digests), sum(digests.values())


def _tombstone(request: PurgeRequest, batch: Batch, digests: Sequence[bytes], size: int) -> EntryDraft:
    but: list[Scalar] = [*sorted(batch.but, key=str)]
    data: Data = {
        "class": request.retention.value,
        "before": rfc3339(request.before),
        "policy": request.policy,
        "first": batch.first,
        "last": batch.last,
        "but": but,
        "only": [*batch.only],
        "entries": len(batch.taken),
        "payloads": len(digests),
        "size": size,
        "digests": hashlib.sha256(b"".join(digests)).hexdigest(),
    }
    return EntryDraft(Kind.RECORD_PURGED, SESSION, data)


def ordered(transaction: Transaction, draft: EntryDraft, order: Order | None) -> EntryDraft:
    """The entry with who wanted it, and why; as it is where nobody did."""
    if order is None:
        return draft
    draft = replace(draft, payloads=order_payload(order))
    if order.identity is None:
        return draft
    orderer = transaction.pseudonym(order.identity)
    return replace(draft, data={**draft.data, "orderer": orderer}, subjects={"order": orderer})


def order_payload(order: Order) -> dict[str, bytes]:
    """Who wanted it, and why."""
    return {"order": json.dumps({"by": order.by, "reason": order.reason}).encode()}


def delete_payloads(transaction: Transaction, digests: Sequence[bytes]) -> int:
    """Delete these payloads; how many were there."""
    gone = 0
    for start in range(0, len(digests), AT_ONCE):
        some = digests[start : start + AT_ONCE]
        gone += transaction.change(delete(payloads).where(payloads.c.digest.in_(some)))
    return gone


def _forget_holds(transaction: Transaction, taken: Iterable[ReadEntry]) -> None:
    names = [str(e.data.get("hold")) for e in taken if e.kind == Kind.HOLD_OPENED.value]
    forget_holds(transaction, names)


def forget_holds(transaction: Transaction, names: Sequence[str]) -> None:
    """Delete the rows of holds, their votes, notifications and grants; the entries tell of them."""
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        made = select(grants.c.id).where(grants.c.hold.in_(some))
        transaction.change(delete(grant_uses).where(grant_uses.c.grant_id.in_(made)))
        transaction.change(delete(grant_acts).where(grant_acts.c.hold.in_(some)))
        transaction.change(delete(grants).where(grants.c.hold.in_(some)))
        transaction.change(delete(votes).where(votes.c.hold.in_(some)))
        transaction.change(delete(hold_acts).where(hold_acts.c.hold.in_(some)))
        transaction.change(delete(outbox).where(outbox.c.hold.in_(some)))
        transaction.change(delete(holds).where(holds.c.id.in_(some)))


def _empty(transaction: Transaction, sequences: Sequence[int]) -> None:
    for start in range(0, len(sequences), AT_ONCE):
        some = sequences[start : start + AT_ONCE]
        transaction.change(update(entries).where(entries.c.seq.in_(some)).values(body=b""))


def _wipe_sessions(transaction: Transaction, names: Iterable[str]) -> None:
    wanted = sorted(names)
    if wanted:
        transaction.change(update(sessions).where(sessions.c.id.in_(wanted)).values(WIPED))


def _delete_sessions(transaction: Transaction, names: Iterable[str]) -> None:
    wanted = sorted(names)
    if wanted:
        numbers = select(sessions.c.seq).where(sessions.c.id.in_(wanted))
        transaction.change(delete(session_budgets).where(session_budgets.c.session.in_(numbers)))
        transaction.change(delete(sessions).where(sessions.c.id.in_(wanted)))
