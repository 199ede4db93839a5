"""Making a grant: a proposal and the votes for it, each as one compare-and-set with its entries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, insert, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import rfc3339
from authz_service.core.grants import LONGEST, Grant, GrantState, Held, Maker, Terms
from authz_service.core.holds import Approved, Expired, Pending, Rejected, StageRef, Verdict, Vote
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict, Forbidden
from authz_service.store.changed_bytes import digest_changed
from authz_service.store.column_texts import micro, seconds, stage_text
from authz_service.store.damage import reading, require_text
from authz_service.store.eligibility import refuse_requester
from authz_service.store.ending import supersede
from authz_service.store.grant_acting import Act, keep_act, refuse_ended, voted_before
from authz_service.store.grant_documents import detail_of, digest_of, terms_text
from authz_service.store.grant_origin import origin_of
from authz_service.store.grant_rows import (
    VOTE,
    Said,
    grant_row,
    grant_with_id,
    read_grant,
    said_of,
    stands_by,
    state_at,
    terms_of,
)
from authz_service.store.hold_documents import read_traits
from authz_service.store.hold_rows import approvals_of, bytes_held, caller_of, requester_of
from authz_service.store.hold_standing import state_at as hold_state_at
from authz_service.store.loading import hold_with_id, is_revised, require_readable
from authz_service.store.schema import grants
from authz_service.store.spending import change_grant, grant_for
from authz_service.store.transaction import Transaction
from authz_service.store.voices import voice_of, voice_said
from authz_service.store.voting import already_voted

NewId = Callable[[str], str]
OPEN = (GrantState.PROPOSED, GrantState.ACTIVE)
_MADE_FROM = (HoldState.PENDING, HoldState.APPROVED, HoldState.RELEASED)


def propose(
    transaction: Transaction, hold_id: str, *, terms: Terms, shown: str, by: Maker, new_id: NewId
) -> Grant:
    """See `GrantStore.propose_grant`."""
    hold = _readable_hold(transaction, hold_id)
    refuse_requester(hold, by.person, by.account, *by.owners)
    text = terms_text(terms)
    before = voted_before(transaction, hold.id, digest=digest_of(text), by=by)
    if before is not None:
        return read_grant(transaction, before)
    _require_source(transaction, hold)
    if shown != hold.digest:
        raise digest_changed(())  # what was edited has been refused
    _require_end(transaction, terms)
    row = _same_terms(transaction, hold.id, text) or _proposed(transaction, hold, terms, by, new_id)
    _require_proposed(transaction, row)
    return _vote(transaction, row, hold, by, new_id)


def approve(transaction: Transaction, grant_id: str, *, digest: str, by: Maker, new_id: NewId) -> Grant:
    """See `GrantStore.approve_grant`."""
    row = grant_with_id(transaction, grant_id)
    hold = _readable_hold(transaction, row.hold)
    refuse_requester(hold, by.person, by.account, *by.owners)
    if digest != digest_of(terms_of(row)[0]):
        message = "the grant has other terms than those that you were shown; look at it again"
        raise Conflict(message, code="digest_changed")
    before = voted_before(transaction, hold.id, digest=digest, by=by, grant=row.id)
    if before is not None:
        return read_grant(transaction, before)
    _require_proposed(transaction, row)
    _require_source(transaction, hold)
    return _vote(transaction, row, hold, by, new_id)


def _readable_hold(transaction: Transaction, hold_id: str) -> Row[Any]:
    """Raises `Unavailable` (`record_damaged`) where anything cannot be read that a grant takes from it."""
    hold = hold_with_id(transaction, hold_id)
    require_readable(transaction, hold)
    with reading(f"hold {hold.id}"):
        require_text(*requester_of(hold))
    return hold


def _require_source(transaction: Transaction, hold: Row[Any]) -> None:
    """Raise `Conflict` where this hold does not say (any more) to what kind of request somebody agrees."""
    state = hold_state_at(hold, transaction.now)
    if state not in _MADE_FROM:
        message = f"hold {hold.id} is {state.value}: a grant is made from one that pends or was approved"
        raise Conflict(message, code=f"hold_{state.value}")
    detail = json.loads(hold.detail)
    if "answer" in detail:
        raise Conflict("a grant lets requests through; here an answer waits", code="answer_waits")
    if is_revised(transaction, hold.id):
        message = "a grant lets requests through as they come; this one was edited or answered"
        raise Conflict(message, code="hold_revised")
    if read_traits(detail.get("traits")) is None:
        message = "the kind of this request is not on record, so no grant can be made from it"
        raise Conflict(message, code="hold_without_traits")


def _require_proposed(transaction: Transaction, row: Row[Any]) -> None:
    state = state_at(row, transaction.now)
    refuse_ended(row, state, said_of(transaction, row.id))
    if state is GrantState.ACTIVE:
        raise Conflict(f"grant {row.id} has its votes and is in force", code="grant_active")


def _require_end(transaction: Transaction, terms: Terms) -> None:
    left = terms.until - seconds(transaction.now)
    if not 0 < left <= LONGEST:
        message = f"a grant ends after now and within {int(LONGEST // 86_400)} days"
        raise Conflict(message, code="grant_end")


def _same_terms(transaction: Transaction, hold: str, text: str) -> Row[Any] | None:
    """The grant with the very terms that is proposed or in force already."""
    query = select(grants.c.id).where(grants.c.hold == hold).order_by(grants.c.seq)
    for name in transaction.read(query).scalars().all():
        row = grant_with_id(transaction, name)
        if json.loads(row.detail)["terms"] == text and state_at(row, transaction.now) in OPEN:
            return row
    return None


def _proposed(transaction: Transaction, hold: Row[Any], terms: Terms, by: Maker, new_id: NewId) -> Row[Any]:
    now = transaction.now
    detail = detail_of(terms, now)
    row = grant_row(terms, detail, id=new_id("grant"), hold=hold.id, seq=0, now=now)
    data: dict[str, Scalar | list[Scalar]] = {
        "grant": row["id"],
        "hold": hold.id,
        "opened": hold.seq,
        "digest": bytes_held(hold),
        "person": transaction.pseudonym(requester_of(hold)),
        "approvals": [approval.name for approval in terms.approvals],
        "uses": terms.uses,
        "until": rfc3339(row["until"]),
        "deadline": rfc3339(row["deadline"]),
    }
    if not _open_to(stands_by(detail, (), created_at=now, now=now), by):
        raise _no_part()  # before anything is recorded
    payloads = {"detail": detail.encode()}
    draft = EntryDraft(Kind.GRANT_PROPOSED, hold.session, {**data}, payloads, requester_of(hold))
    seq = transaction.record(draft).last
    transaction.change(insert(grants).values(row | {"seq": seq, "changed": seq}))
    return grant_with_id(transaction, row["id"])


def _vote(transaction: Transaction, row: Row[Any], hold: Row[Any], by: Maker, new_id: NewId) -> Grant:
    said = said_of(transaction, row.id)
    act = Act(new_id("vote"), VOTE, by, _counted(transaction, row, said, by))
    now = transaction.now
    vote = Vote(act.id, by.person, Verdict.APPROVE, "", seconds(now), tuple(act.counts_for))
    stands = stands_by(row.detail, (*said.votes, vote), created_at=row.created_at, now=now)
    deadline = micro(stands.deadline) if isinstance(stands, Pending) else row.deadline
    stages: list[Scalar] = [stage_text(stage) for stage in act.counts_for]
    seq = keep_act(transaction, row, origin_of(hold), act, {"stages": stages, "deadline": rfc3339(deadline)})
    match stands:
        case Pending():
            change_grant(transaction, row, seq, {"deadline": deadline})
        case Approved():
            data: dict[str, Scalar] = {"grant": row.id, "hold": hold.id}
            seq = transaction.record(EntryDraft(Kind.GRANT_CREATED, hold.session, data)).last
            change_grant(transaction, row, seq, {"state": GrantState.ACTIVE.value})
            _let_through(transaction, hold, by=row.id)
        case Rejected() | Expired():
            raise RuntimeError("a grant that lacked votes has ended within one transaction")
    return read_grant(transaction, grant_with_id(transaction, row.id))


def _counted(transaction: Transaction, row: Row[Any], said: Said, by: Maker) -> tuple[StageRef, ...]:
    """The stages that are open now, that the voter may vote in and has not voted in."""
    stands = stands_by(row.detail, said.votes, created_at=row.created_at, now=transaction.now)
    mine = _open_to(stands, by)
    if not mine or not isinstance(stands, Pending):
        raise _no_part()
    voice = voice_of(transaction, by.person, by.account, by.owners)
    own = {
        vote
        for vote, theirs in said.voters.items()
        if voice.is_one_with(voice_said(transaction, theirs, said.owners[vote]))
    }
    # By name and position: an escalation opens no second vote to those who have voted before it.
    done = {
        (ref.approval, ref.stage)
        for vote in said.votes
        if vote.id in own and vote.id in stands.counted
        for ref in vote.counts_for
    }
    left = tuple(ref for ref in mine if (ref.approval, ref.stage) not in done)
    if not left:
        is_own = any(vote.id in own and vote.voter == by.person for vote in said.votes)
        raise already_voted("for this grant", is_own=is_own)
    return left


def _open_to(stands: object, by: Maker) -> tuple[StageRef, ...]:
    opened = stands.open_stages if isinstance(stands, Pending) else ()
    return tuple(stage for stage in opened if stage in by.may_vote_in)


def _no_part() -> Forbidden:
    return Forbidden("you are not among the reviewers whose vote is open here", code="not_a_reviewer")


def _let_through(transaction: Transaction, hold: Row[Any], *, by: str) -> None:
    """Whoever waits for the hold that the grant was made from is judged anew, and finds the grant."""
    detail = json.loads(hold.detail)
    traits = read_traits(detail.get("traits"))
    if hold_state_at(hold, transaction.now) is not HoldState.PENDING or traits is None:
        return
    held = Held(
        caller_of(hold), detail["api"], detail["operation"], detail["model"], traits, approvals_of(hold)
    )
    if grant_for(transaction, held) is not None:
        supersede(transaction, hold, by=by)
