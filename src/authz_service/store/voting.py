"""Casting votes: their rows, their entries and what follows from them, each as one compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from sqlalchemy import Row, insert

from authz_service.audit.columns import clean
from authz_service.audit.draft import EntryDraft, Kind, Scalar, Subject
from authz_service.audit.entry import rfc3339
from authz_service.core.acts import Act, Review
from authz_service.core.ballots import Ballot
from authz_service.core.grants import GRANT_IDS
from authz_service.core.holds import Approved, Expired, Pending, Rejected, StageRef, Timed, Verdict, Vote
from authz_service.core.sessions import SESSION_IDS
from authz_service.core.stored_holds import HoldLimits, HoldState, HoldSummary
from authz_service.errors import AuthzError, Conflict, Forbidden
from authz_service.store.changed_bytes import digest_changed
from authz_service.store.column_texts import identity_text, key_text, micro, stage_text
from authz_service.store.damage import reading
from authz_service.store.eligibility import refuse_requester, without_own_edits
from authz_service.store.ending import Move, move_all
from authz_service.store.hold_rows import bytes_held, requester_of
from authz_service.store.hold_standing import next_turn, state_at
from authz_service.store.loading import (
    Said,
    edited_before,
    load_acts,
    no_such_hold,
    rows_of,
    said_of_all,
    summary_of,
    superseded_by,
)
from authz_service.store.schema import votes
from authz_service.store.transaction import Transaction
from authz_service.store.turning import due_turns, record_turns
from authz_service.store.voices import owners_said, typed_said, voice_of, voice_on
from authz_service.store.vote_rows import vote_row

_VOTE = insert(votes)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A ballot that may be cast: its hold, the stages it counts in, and the turns that are due before it."""

    ballot: Ballot
    row: Row[Any]
    counts_for: tuple[StageRef, ...]
    turns: Sequence[tuple[Timed, int | None]]


def vote_all(
    transaction: Transaction, ballots: Sequence[Ballot], limits: HoldLimits, *, vote_ids: Sequence[str]
) -> list[HoldSummary | AuthzError]:
    """Cast votes on as many holds, and apply what follows; see `Store.vote_all`.

    With a few statements for all of them: a page of approvals is waited for by whoever commits beside it.
    """
    names = {ballot.hold for ballot in ballots}
    if len(names) < len(ballots):
        raise ValueError("two votes on one hold are cast one after the other")
    rows = {row.id: row for row in rows_of(transaction, names)}
    said = said_of_all(transaction, rows.values())
    outcomes: dict[str, HoldSummary | AuthzError] = {}
    counted: dict[str, _Counted] = {}
    for ballot, vote_id in zip(ballots, vote_ids, strict=True):
        try:
            with reading(f"hold {ballot.hold}"):
                found = _counted(transaction, rows.get(clean(ballot.hold)), said, ballot)
        except AuthzError as refused:
            outcomes[ballot.hold] = refused
            continue
        if isinstance(found, _Counted):
            row = record_turns(transaction, found.row, found.turns)
            counted[vote_id] = replace(found, row=row)
        else:
            outcomes[ballot.hold] = found
    cast = {hold.id: hold for hold in _cast(transaction, counted, limits)}
    outcomes |= {one.ballot.hold: cast[one.row.id] for one in counted.values()}
    return [outcomes[ballot.hold] for ballot in ballots]


def _counted(
    transaction: Transaction, row: Row[Any] | None, said: Mapping[str, Said], ballot: Ballot
) -> _Counted | HoldSummary:
    """Where the ballot counts; the hold as it is for one that was cast before. Raises as `Store.vote`.

    Nothing is changed here: whether the ballot counts, and whether the hold can be read, is known before.
    """
    if row is None:
        raise no_such_hold()
    refuse_requester(row, ballot.voter, ballot.account or ballot.voter, *ballot.owners)
    known = said[row.id]
    summary = summary_of(transaction, row, known)
    if _is_repeated(known.rows, ballot):
        return summary
    refuse_decided(transaction, row, summary.votes)
    if ballot.digest != row.digest:
        raise digest_changed(known.acts)
    ballot = without_own_edits(transaction, row, _edits(transaction, row, known.acts), ballot)
    counts_for = () if ballot.is_break_glass else _counted_stages(transaction, summary, known, ballot)
    return _Counted(ballot, row, counts_for, due_turns(transaction, row))


def _cast(transaction: Transaction, counted: Mapping[str, _Counted], limits: HoldLimits) -> list[HoldSummary]:
    """Record the votes, by their ids, and what they make of their holds; these as they stand then."""
    if not counted:
        return []
    sequences, new = {}, []
    for vote_id, one in counted.items():
        ballot, counts_for = one.ballot, one.counts_for
        owners = owners_said(transaction, ballot.owners)
        recorded = transaction.record(_voted(transaction, one.row, ballot, counts_for, owners, vote_id))
        sequences[vote_id] = recorded.last
        new.append(vote_row(ballot, counts_for, owners, id=vote_id, seq=recorded.last, now=transaction.now))
    transaction.change(_VOTE, new)
    rows = [one.row for one in counted.values()]
    said = said_of_all(transaction, rows)
    moves = [
        _moved(transaction, one, said[one.row.id], sequences[vote_id], limits)
        for vote_id, one in counted.items()
    ]
    move_all(transaction, moves)
    return [summary_of(transaction, row, said[row.id]) for row in rows_of(transaction, [r.id for r in rows])]


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


def refuse_decided(transaction: Transaction, row: Row[Any], cast: Sequence[Vote]) -> None:
    """Raise `Conflict`, which says who decided what, unless the hold is pending."""
    state = state_at(row, transaction.now)
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
            said = f"was superseded{_by(superseded_by(transaction, row))}"
        case HoldState.KILLED:
            said = "was ended: an operator ended the request that it was for"
        case _ as never:
            assert_never(never)
    raise Conflict(f"hold {row.id} {said}", code=f"hold_{state.value}")


def _by(superseding: str) -> str:
    if superseding.startswith(SESSION_IDS):
        return f": by the rules, nobody has to be asked any more about its request (session {superseding})"
    what = "" if superseding.startswith(GRANT_IDS) else "a newer request of the same caller, hold "
    return f" by {what}{superseding}" if superseding else ""


def _names(cast: Sequence[Vote]) -> str:
    counted = [vote for vote in cast if vote.withdrawn_at is None and not vote.is_void]
    return ", ".join(vote.name or vote.voter[1] for vote in counted)


def _counted_stages(
    transaction: Transaction, hold: HoldSummary, said: Said, ballot: Ballot
) -> tuple[StageRef, ...]:
    """The stages that are open now, that the voter may vote in and has not voted in."""
    cast = hold.votes
    mine = tuple(stage for stage in hold.open_stages if stage in ballot.may_vote_in)
    if not mine:
        raise Forbidden("you are not among the reviewers whose vote is open here", code="not_a_reviewer")
    voice = voice_of(transaction, ballot.voter, ballot.account or ballot.voter, ballot.owners)
    own = {found.id for found in said.rows if voice.is_one_with(voice_on(transaction, found))}
    counted = own.intersection(hold.counted)
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
        "typed": [*typed_said(transaction, ballot.voter, account)],
        "stages": [stage_text(stage) for stage in counts_for],
        "key": key_text(ballot.idempotency_key) if ballot.idempotency_key else None,
    }
    data |= {"owners": list(owners)} if owners else {}
    subjects: dict[str, Subject] = {"voter": ballot.voter}
    kind = Kind.HOLD_BREAK_GLASS if ballot.is_break_glass else Kind.HOLD_VOTED
    return EntryDraft(kind, row.session, {**data}, payloads, requester_of(row), subjects)


def _moved(transaction: Transaction, counted: _Counted, said: Said, seq: int, limits: HoldLimits) -> Move:
    """What the votes, the new one included, make of the hold."""
    row, now = counted.row, transaction.now
    also = {"review": Review.DUE.value} if counted.ballot.is_break_glass else {}
    stands = said.standing(row, now)
    match stands:
        case Pending(deadline=deadline):
            return Move(row, seq, {"deadline": micro(deadline), "turn_at": next_turn(stands, now), **also})
        case Approved():
            values = {"state": HoldState.APPROVED.value, "deadline": now + micro(limits.use_within), **also}
            return _decided(transaction, row, Kind.HOLD_APPROVED, values)
        case Rejected():
            deadline = now + micro(limits.rejection_answers)
            values = {"state": HoldState.REJECTED.value, "deadline": deadline, **also}
            return _decided(transaction, row, Kind.HOLD_REJECTED, values)
        case Expired():
            raise RuntimeError("a hold that was pending has expired within one transaction")
        case _ as never:
            assert_never(never)


def _decided(transaction: Transaction, row: Row[Any], kind: Kind, values: dict[str, Any]) -> Move:
    ends = rfc3339(values["deadline"])
    data: dict[str, Scalar] = {"hold": row.id, "digest": bytes_held(row), "deadline": ends}
    recorded = transaction.record(EntryDraft(kind, row.session, data))
    return Move(row, recorded.last, values)
