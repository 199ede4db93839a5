"""Purging by age: one batch of entries, or of sessions that were passed over, in one transaction.

A session goes as a whole, once it has ended before the time in question and nobody keeps it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import delete, func, select, update

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.entry import ReadEntry, decode, rfc3339
from authz_service.audit.forgotten import SESSION, Forgotten
from authz_service.audit.retention import STANDING, TAKEN_WITH, Retention, retention_of
from authz_service.core.acts import Review
from authz_service.core.forgetting import Order, Purged, PurgeRequest
from authz_service.store.first_since import first_since, time_of
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.grant_queries import in_force
from authz_service.store.hold_standing import OPEN
from authz_service.store.kept_rows import take_entries
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
from authz_service.store.transaction import Reader, Transaction

ENTRIES_AT_ONCE = 400
SESSIONS_AT_ONCE = 20
AT_ONCE = 400  # SQLite bounds the parameters of a statement

WIPED: Mapping[str, str | None] = {"caller_detail": None, "subject": "", "person": "", "path": ""}
"""The columns of a session that go with its payloads."""


@dataclass(slots=True)
class Batch:
    """Entries that are looked at, and what of them is to go."""

    first: int = 0
    last: int = 0
    but: set[str] = field(default_factory=set)
    only: tuple[str, ...] = ()
    taken: list[ReadEntry] = field(default_factory=list)
    has_more: bool = False


def purge(transaction: Transaction, request: PurgeRequest, known: Forgotten | None = None) -> Purged:
    """Take the next batch, with its tombstone; `known` as in `read_forgotten`."""
    forgotten = read_forgotten(transaction, known)
    after = _begin_after(transaction, request, forgotten)
    batch = next_batch(transaction, request, forgotten, after=after)
    if batch is None:
        return Purged()
    digests, size = _payloads_of(batch.taken, request.retention)
    transaction.record(ordered(transaction, _tombstone(request, batch, digests, size), request.order))
    _delete_payloads(transaction, digests)
    gone = {entry.session for entry in batch.taken if entry.session is not None}
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


def preview(reader: Reader, request: PurgeRequest) -> Purged:
    """What all batches would take."""
    forgotten = read_forgotten(reader)
    after = _begin_after(reader, request, forgotten)
    total = Purged()
    while (batch := next_batch(reader, request, forgotten, after=after)) is not None:
        digests, size = _payloads_of(batch.taken, request.retention)
        total += Purged(len(batch.taken), len(digests), size)
        if batch.only:
            forgotten = _without(forgotten, request.retention, batch.only)
        after = max(after, batch.last)
    return total


def _begin_after(reader: Reader, request: PurgeRequest, forgotten: Forgotten) -> int:
    """The number after which to look: of values before masking there may be few, and long after the last."""
    after = forgotten.purged_up_to(request.retention)
    if request.retention is not Retention.ORIGINALS:
        return after
    last = reader.read(select(func.max(entries.c.seq))).scalar() or 0
    is_old = (payloads.c.retention == Retention.ORIGINALS.value) & (payloads.c.at < request.before)
    is_next = is_old & (payloads.c.at >= time_of(reader, after))  # those before it were passed over, or kept
    oldest = reader.read(select(func.min(payloads.c.at)).where(is_next)).scalar()
    return max(after, last if oldest is None else first_since(reader, oldest, last) - 1)


def next_batch(reader: Reader, request: PurgeRequest, forgotten: Forgotten, *, after: int) -> Batch | None:
    """The next entries from which something may be taken; None at the end."""
    over = _left_over(reader, request, forgotten)
    if over:
        return Batch(only=tuple(over), taken=_entries_of(reader, over), has_more=True)
    last, old, has_more = _older(reader, after, request.before)
    if last == after:
        return None
    standing = _sessions_that_stand(reader, request, forgotten, old)
    taken = [e for e in old if e.session not in standing and e.kind not in STANDING]
    but = {e.session for e in old if e.session is not None and e.session in standing}
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


def _left_over(reader: Reader, request: PurgeRequest, forgotten: Forgotten) -> list[str]:
    """Sessions that were passed over and whose time has come since."""
    names = sorted(forgotten.left_over(request.retention))
    over: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        columns = (sessions.c.id, sessions.c.caller, sessions.c.ended_at)
        some = names[start : start + AT_ONCE]
        for row in reader.read(select(*columns).where(sessions.c.id.in_(some))):
            has_ended = row.ended_at is not None and row.ended_at < request.before
            if (
                has_ended
                and not forgotten.is_kept(row.id, row.caller)
                and not _is_held(reader, row.id, request.retention)
            ):
                over.append(row.id)
        if len(over) >= SESSIONS_AT_ONCE:
            break
    return over[:SESSIONS_AT_ONCE]


def _sessions_that_stand(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, old: Sequence[ReadEntry]
) -> set[str]:
    """Those of the entries' sessions from which nothing may be taken yet."""
    names = sorted({entry.session for entry in old if entry.session is not None})
    columns = (sessions.c.id, sessions.c.caller, sessions.c.ended_at)
    standing: set[str] = set()
    for row in reader.read(select(*columns).where(sessions.c.id.in_(names))):
        has_ended = row.ended_at is not None and row.ended_at < request.before
        if (
            not has_ended
            or forgotten.is_kept(row.id, row.caller)
            or _is_held(reader, row.id, request.retention)
        ):
            standing.add(row.id)
    return standing


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


def _entries_of(reader: Reader, names: Sequence[str]) -> list[ReadEntry]:
    query = select(entries.c.body).where(entries.c.session.in_(names)).order_by(entries.c.seq)
    return [decode(bytes(body)) for body in reader.read(query).scalars() if body]


def _payloads_of(taken: Iterable[ReadEntry], retention: Retention) -> tuple[list[bytes], int]:
    """The payloads that go, and their size; with the entries go all that they account for."""
    digests: dict[bytes, int] = {}
    for entry in taken:
        for name, ref in entry.payloads.items():
            if retention in TAKEN_WITH[retention_of(entry.kind, name)]:
                digests[ref.digest] = ref.size
    return sorted(digests), sum(digests.values())


def _tombstone(request: PurgeRequest, batch: Batch, digests: Sequence[bytes], size: int) -> EntryDraft:
    but: list[Scalar] = [*sorted(batch.but)]
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


def _delete_payloads(transaction: Transaction, digests: Sequence[bytes]) -> None:
    for start in range(0, len(digests), AT_ONCE):
        some = digests[start : start + AT_ONCE]
        transaction.change(delete(payloads).where(payloads.c.digest.in_(some)))


def _forget_holds(transaction: Transaction, taken: Iterable[ReadEntry]) -> None:
    names = [str(e.data["hold"]) for e in taken if e.kind == Kind.HOLD_OPENED.value]
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


def _without(forgotten: Forgotten, retention: Retention, names: Sequence[str]) -> Forgotten:
    """As if these had been taken."""
    purges = [
        replace(purge, but=purge.but - set(names)) if purge.retention is retention else purge
        for purge in forgotten.purges
    ]
    return replace(forgotten, purges=purges)
