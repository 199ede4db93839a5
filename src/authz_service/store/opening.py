"""Opening a hold: or finding the one of the same person's same request that is open, or was rejected."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Row, func, insert, select, text

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.holds import Pending
from authz_service.core.limits import LimitReached
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Opened, Opening, TooManyHolds
from authz_service.core.standing import standing
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldState, HoldSummary
from authz_service.errors import Unavailable
from authz_service.store.column_texts import identity_text, seconds
from authz_service.store.damage import reading
from authz_service.store.declared_types import LATEST
from authz_service.store.ending import expire, supersede
from authz_service.store.hold_documents import approvals_document as document
from authz_service.store.hold_rows import approvals_of, bytes_held, hold_row
from authz_service.store.hold_standing import OPEN
from authz_service.store.loading import is_revised, summary_of
from authz_service.store.schema import IS_OPEN, holds
from authz_service.store.spending import grant_for, held_by, spend
from authz_service.store.taking_up import require_ours
from authz_service.store.transaction import Transaction
from authz_service.store.used import Use
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)

_OPEN = insert(holds)
_OPEN_WORDS = frozenset(state.value for state in OPEN)


def open_hold(transaction: Transaction, draft: HoldDraft, limits: HoldLimits) -> Opening:
    """Open, attach, or say why not; the draft's entries are recorded whatever the outcome."""
    if hashlib.sha256(draft.forward).hexdigest() != draft.digest:
        raise ValueError("the digest of a hold is that of the bytes to forward")
    _require_ours(transaction, draft.session, draft.entries)
    found = _latest(transaction, draft.caller, draft.fingerprint)
    state = None if found is None else _before_its_end(found, transaction.now)
    # A hold that is over is not read: where that is damaged, the same request would wait for nobody again.
    is_open = state in OPEN
    is_there = found is not None and is_open and found.id != draft.replaces and _is_same(found, draft)
    if found is not None and state is HoldState.APPROVED and is_there:
        return _attach(transaction, found, session=draft.session, entries=draft.entries)
    if found is not None and state is HoldState.REJECTED:
        transaction.record(*draft.entries)
        return AlreadyRejected(summary_of(transaction, found))
    is_waiting = found is not None and state is HoldState.PENDING and is_there
    held = held_by(draft)
    grant = None if held is None else grant_for(transaction, held)
    if grant is not None and not (found is not None and is_waiting and is_revised(transaction, found.id)):
        if found is not None and found.state in _OPEN_WORDS:
            _end(transaction, found, by=grant.id)
        return spend(transaction, grant, draft)
    if found is not None and is_waiting:
        return _attach(transaction, found, session=draft.session, entries=draft.entries)
    to_end = found if found is not None and found.state in _OPEN_WORDS else None
    if _pending(transaction, draft, but=to_end) >= limits.pending_per_caller:
        transaction.record(*draft.entries)
        return TooManyHolds(limits.pending_per_caller)
    reached = _reached(transaction, draft, but=to_end)
    if reached is not None:
        transaction.record(*draft.entries)
        return reached
    return _open(transaction, draft, found)


def attach_answer(transaction: Transaction, wanted: AnswerWanted) -> Attached | AlreadyRejected | None:
    """See `Store.attach_answer`."""
    _require_ours(transaction, wanted.session, wanted.entries)
    found = _latest(transaction, wanted.caller, wanted.fingerprint)
    if found is None:
        return None
    state = _before_its_end(found, transaction.now)
    # As in `open_hold`, one that is over is not read.
    if state not in (*OPEN, HoldState.REJECTED) or _changes(found) != wanted.changes:
        return None
    if state in OPEN:
        return _attach(transaction, found, session=wanted.session, entries=wanted.entries)
    transaction.record(*wanted.entries)
    return AlreadyRejected(summary_of(transaction, found))


def _require_ours(transaction: Transaction, session: str, begun_with: Sequence[EntryDraft]) -> None:
    """Raise as `require_ours`, unless it begins with this: to be held would hide that it is to end."""
    if not any(draft.kind is Kind.REQUEST_RECEIVED for draft in begun_with):
        require_ours(transaction, session)


def _before_its_end(row: Row[Any], now: int) -> HoldState | None:
    """The state of a hold whose deadline is to come: until then one that was rejected answers, too.

    None for any other, which is over however it ended. A deadline that is none is no time to wait for: by
    such a hold nothing is released. Raises `Unavailable` (`record_damaged`) where the state is none.
    """
    if type(row.deadline) is not int or not now < row.deadline < LATEST:
        return None
    with reading(f"hold {row.id}"):
        return HoldState(row.state)


def _latest(transaction: Transaction, caller: Caller, fingerprint: str) -> Row[Any] | None:
    """The last hold of this request: an open one, if any, is the last, as nothing opens beside it."""
    mine = (holds.c.identity == identity_text(caller.identity)) & (holds.c.fingerprint == fingerprint)
    return transaction.read(select(holds).where(mine).order_by(holds.c.seq.desc()).limit(1)).one_or_none()


def _is_same(row: Row[Any], draft: HoldDraft) -> bool:
    """Whether what was, or will be, approved there is what is asked for here, whatever its noise."""
    with reading(f"hold {row.id}"):
        return _changes(row) == draft.changes and document(approvals_of(row)) == document(draft.approvals)


def _changes(row: Row[Any]) -> object:
    """The digest of what may differ between requests that are taken for the same."""
    with reading(f"hold {row.id}"):
        return json.loads(row.detail)["changes"]


def _pending(transaction: Transaction, draft: HoldDraft, *, but: Row[Any] | None) -> int:
    """How many holds of this person pend, without the one that the new hold takes the place of."""
    query = select(func.count()).where(
        holds.c.identity == identity_text(draft.caller.identity),
        text(IS_OPEN),  # as the index has it: not a look at all that this person ever asked for
        holds.c.state == HoldState.PENDING.value,
        holds.c.deadline > transaction.now,
        holds.c.id != ("" if but is None else but.id),
    )
    return int(transaction.read(query).scalar_one())


def _reached(transaction: Transaction, draft: HoldDraft, *, but: Row[Any] | None) -> LimitReached | None:
    """The first of its quotas that has as many holds as it may."""
    use = Use(transaction)
    for quota in draft.quotas:
        most = quota.rates.open_holds
        if most is not None and use.holds(quota, but="" if but is None else but.id) >= most:
            again = use.frees(quota, "open_holds", 1)
            now = seconds(transaction.now)
            return LimitReached("open_holds", quota.by, most, now, again, 0, quota.models)
    return None


def _attach(
    transaction: Transaction, row: Row[Any], *, session: str, entries: Sequence[EntryDraft]
) -> Attached:
    data: dict[str, Scalar] = {"hold": row.id, "digest": bytes_held(row)}
    transaction.record(*entries, EntryDraft(Kind.HOLD_ATTACHED, session, data))
    return Attached(summary_of(transaction, row))


def _open(transaction: Transaction, draft: HoldDraft, before: Row[Any] | None) -> Opened:
    if before is not None:
        draft = replace(draft, previous=before.id)
        if before.state in _OPEN_WORDS:
            _end(transaction, before, by=draft.id)
    row = hold_row(draft, forward=b"", seq=0, now=transaction.now)
    recorded = transaction.record(*draft.entries, _opened(draft, row, transaction))
    row |= {"seq": recorded.last, "changed": recorded.last, "forward": recorded.digests["forward"]}
    transaction.change(_OPEN, [row])
    transaction.changed_holds.add(draft.id)
    return Opened(_as_opened(draft, row))


def _end(transaction: Transaction, row: Row[Any], *, by: str) -> None:
    """Expire an overdue hold; supersede any other, and one of which nobody can say when or with what."""
    try:
        with reading(f"hold {row.id}"):
            is_overdue = row.deadline <= transaction.now
        if is_overdue:
            expire(transaction, row)
            return
    except Unavailable as damage:
        log.error("hold.damaged", hold=row.id, error=type(damage.__cause__).__name__)
    supersede(transaction, row, by=by)


def _opened(draft: HoldDraft, row: dict[str, Any], transaction: Transaction) -> EntryDraft:
    data: dict[str, Scalar | list[Scalar]] = {
        "hold": draft.id,
        "deadline": rfc3339(row["deadline"]),
        "person": transaction.pseudonym(draft.caller.identity),
        "rule": draft.rule,
        "policy": draft.policy,
        "approvals": [approval.name for approval in draft.approvals],
        "previous": draft.previous,
    }
    payloads = {"forward": draft.forward, "detail": row["detail"].encode()}
    return EntryDraft(Kind.HOLD_OPENED, draft.session, {**data}, payloads, draft.caller.identity)


def _as_opened(draft: HoldDraft, row: dict[str, Any]) -> HoldSummary:
    zones = json.loads(row["detail"]).get("zones", {})
    at = seconds(row["created_at"])
    stands = standing(draft.approvals, (), opened_at=at, now=at, zones=zones)
    assert isinstance(stands, Pending)
    return HoldSummary(
        id=draft.id,
        session=draft.session,
        caller=draft.caller,
        fingerprint=draft.fingerprint,
        changes=draft.changes,
        digest=draft.digest,
        size=len(draft.forward),
        api=draft.api,
        operation=draft.operation,
        model=draft.model,
        rule=draft.rule,
        reason=draft.reason,
        policy=draft.policy,
        approvals=draft.approvals,
        findings=draft.findings,
        previous=draft.previous,
        state=HoldState.PENDING,
        version=1,
        created_at=seconds(row["created_at"]),
        deadline=seconds(row["deadline"]),
        answer=draft.answer,
        open_stages=stands.open_stages,
        turns=stands.turns,
        zones=zones,
        source=draft.source,
        was_answered=draft.answer is not None,
    )
