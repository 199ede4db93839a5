"""Casting a vote: its row, its entry and what follows from it, as one compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from sqlalchemy import Row, insert

from authz_service.audit.draft import EntryDraft, Kind, Scalar, Subject
from authz_service.audit.entry import rfc3339
from authz_service.core.acts import Act, Review
from authz_service.core.holds import Approved, Expired, Pending, Rejected, StageRef, Verdict, Vote
from authz_service.core.ports import Ballot, HoldLimits, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.store.eligibility import refuse_requester, without_own_edits
from authz_service.store.ending import move
from authz_service.store.hold_rows import (
    bytes_held,
    identity_text,
    key_text,
    micro,
    next_turn,
    requester_of,
    stage_text,
    stands_at,
    state_at,
    vote_row,
)
from authz_service.store.loading import Said, edited_before, hold_with_id, load_acts, said_of, summary_of
from authz_service.store.schema import votes
from authz_service.store.transaction import Transaction
from authz_service.store.turning import take as take_turns
from authz_service.store.voices import names_of, names_on, owners_said

_VOTE = insert(votes)


def vote(transaction: Transaction, ballot: Ballot, limits: HoldLimits, *, vote_id: str) -> HoldSummary:
    """Cast a vote and apply what follows; see `Store.vote` for what it raises."""
    row = hold_with_id(transaction, ballot.hold)
    refuse_requester(row, ballot.voter, ballot.account or ballot.voter, *ballot.owners)
    said = said_of(transaction, row.id)
    if _is_repeated(said.rows, ballot):
        return summary_of(transaction, row, said)
    refuse_decided(row, said.votes, transaction.now)
    if ballot.digest != row.digest:
        raise Conflict(
            "the request is not the one that you were shown; look at the hold again", code="digest_changed"
        )
    ballot = without_own_edits(transaction, row, _edits(transaction, row, said.acts), ballot)
    counts_for = () if ballot.is_break_glass else _counted_stages(transaction, row, said, ballot)
    row = take_turns(transaction, row)
    owners = owners_said(transaction, ballot.owners)
    recorded = transaction.record(_voted(transaction, row, ballot, counts_for, owners, vote_id))
    new = vote_row(ballot, counts_for, owners, id=vote_id, seq=recorded.last, now=transaction.now)
    transaction.change(_VOTE, [new])
    also = {"review": Review.DUE.value} if ballot.is_break_glass else {}
    said = said_of(transaction, row.id)
    _apply(transaction, row, said, recorded.last, limits, also)
    return summary_of(transaction, hold_with_id(transaction, row.id), said)


def _edits(transaction: Transaction, row: Row[Any], done: Sequence[Act]) -> list[Act]:
    """What was done to a hold, and to those that it came after where an edited answer is held anew."""
    return [*done, *(act for name in edited_before(transaction, row) for act in load_acts(transaction, name))]


def _is_repeated(cast: Sequence[Row[Any]], ballot: Ballot) -> bool:
    """Whether this very ballot was cast before, by its key; the same key for another one is refused."""
    if not ballot.idempotency_key:
        return False
    key = (identity_text(ballot.voter), key_text(ballot.idempotency_key))
    before = next((row for row in cast if (row.voter, row.idempotency_key) == key), None)
    if before is None:
        return False
    is_alone = bool(json.loads(before.detail).get("break_glass"))
    is_same = (before.digest, before.approves) == (ballot.digest, ballot.verdict is Verdict.APPROVE)
    if not is_same or is_alone != ballot.is_break_glass:
        raise Conflict("this idempotency key was used for another vote", code="idempotency_key_reused")
    return True


def refuse_decided(row: Row[Any], cast: Sequence[Vote], now: int) -> None:
    """Raise `Conflict`, which says who decided what, unless the hold is pending."""
    state = state_at(row, now)
    match state:
        case HoldState.PENDING:
            return
        case HoldState.APPROVED | HoldState.RELEASED:
            said = f"was approved by {_names(cast)}"
            said += " and has been released" if state is HoldState.RELEASED else ""
        case HoldState.REJECTED:
            said = f"was rejected by {_names(cast[-1:])}"
        case HoldState.EXPIRED:
            said = f"expired at {rfc3339(row.deadline)}"
            said += f" after its approval by {_names(cast)}" if row.state == HoldState.APPROVED.value else ""
        case HoldState.SUPERSEDED:
            said = "was superseded by a newer request of the same caller, or by a grant"
        case HoldState.KILLED:
            said = "was ended: an operator ended the request that it was for"
        case _ as never:
            assert_never(never)
    raise Conflict(f"hold {row.id} {said}", code=f"hold_{state.value}")


def _names(cast: Sequence[Vote]) -> str:
    counted = [vote for vote in cast if vote.withdrawn_at is None]
    return ", ".join(vote.name or vote.voter[1] for vote in counted)


def _counted_stages(
    transaction: Transaction, row: Row[Any], said: Said, ballot: Ballot
) -> tuple[StageRef, ...]:
    """The stages that are open now, that the voter may vote in and has not voted in."""
    cast = said.votes
    stands = stands_at(row, cast, transaction.now)
    opened = stands.open_stages if isinstance(stands, Pending) else ()
    mine = tuple(stage for stage in opened if stage in ballot.may_vote_in)
    if not mine:
        raise Forbidden("you are not among the reviewers whose vote is open here", code="not_a_reviewer")
    mine_too = names_of(transaction, ballot.voter, ballot.account or ballot.voter, *ballot.owners)
    own = {found.id for found in said.rows if not mine_too.isdisjoint(names_on(transaction, found))}
    counted = own.intersection(stands.counted if isinstance(stands, Pending) else ())
    # By name and position: an escalation opens no second vote to those who have voted before it.
    done = {(ref.approval, ref.stage) for vote in cast if vote.id in counted for ref in vote.counts_for}
    left = tuple(ref for ref in mine if (ref.approval, ref.stage) not in done)
    if not left:
        raise already_voted("on this hold", is_own=any(v.id in own and v.voter == ballot.voter for v in cast))
    return left


def already_voted(where: str, *, is_own: bool) -> Conflict:
    """The refusal of a second vote of one person; `is_own`: by the same account."""
    who = "" if is_own else ", by another account: a service account and whoever owns it are one person"
    return Conflict(f"you have voted {where} already{who}", code="already_voted")


def _voted(
    transaction: Transaction,
    row: Row[Any],
    ballot: Ballot,
    counts_for: Sequence[StageRef],
    owners: Sequence[str],
    vote_id: str,
) -> EntryDraft:
    account = ballot.account or ballot.voter
    voter = {"voter": list(ballot.voter), "account": list(account), "name": ballot.name}
    payloads = {"voter": json.dumps(voter).encode()}
    if ballot.reason:
        payloads["reason"] = ballot.reason.encode(errors="replace")
    data: dict[str, Scalar | list[Scalar]] = {
        "hold": row.id,
        "vote": vote_id,
        "verdict": ballot.verdict.value,
        "digest": bytes_held(row),
        "voter": transaction.pseudonym(ballot.voter),
        "stages": [stage_text(stage) for stage in counts_for],
        "key": key_text(ballot.idempotency_key) if ballot.idempotency_key else None,
    }
    data |= {"owners": list(owners)} if owners else {}
    subjects: dict[str, Subject] = {"voter": ballot.voter}
    kind = Kind.HOLD_BREAK_GLASS if ballot.is_break_glass else Kind.HOLD_VOTED
    return EntryDraft(kind, row.session, {**data}, payloads, requester_of(row), subjects)


def _apply(
    transaction: Transaction,
    row: Row[Any],
    said: Said,
    seq: int,
    limits: HoldLimits,
    also: Mapping[str, Any],
) -> None:
    """What the votes, the new one included, make of the hold."""
    now = transaction.now
    stands = said.standing(row, now)
    match stands:
        case Pending(deadline=deadline):
            turn_at = next_turn(stands, now)
            move(transaction, row, seq, {"deadline": micro(deadline), "turn_at": turn_at, **also})
        case Approved():
            values = {"state": HoldState.APPROVED.value, "deadline": now + micro(limits.use_within), **also}
            _decide(transaction, row, Kind.HOLD_APPROVED, values)
        case Rejected():
            deadline = now + micro(limits.rejection_answers)
            values = {"state": HoldState.REJECTED.value, "deadline": deadline, **also}
            _decide(transaction, row, Kind.HOLD_REJECTED, values)
        case Expired():
            raise RuntimeError("a hold that was pending has expired within one transaction")
        case _ as never:
            assert_never(never)


def _decide(transaction: Transaction, row: Row[Any], kind: Kind, values: dict[str, Any]) -> None:
    ends = rfc3339(values["deadline"])
    data: dict[str, Scalar] = {"hold": row.id, "digest": bytes_held(row), "deadline": ends}
    recorded = transaction.record(EntryDraft(kind, row.session, data))
    move(transaction, row, recorded.last, values)
