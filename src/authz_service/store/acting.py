"""What reviewers do to a hold beside voting: its row, its entry and what follows, as one compare-and-set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, assert_never

from sqlalchemy import Row, insert, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar, Subject
from authz_service.audit.entry import rfc3339
from authz_service.core.acts import Act, ActDraft, ActKind, Review, Revised, claim_of
from authz_service.core.holds import Approved, Expired, Pending, Rejected, Vote
from authz_service.core.standing import standing
from authz_service.core.stored_holds import HoldLimits, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.store.changed_bytes import digest_changed
from authz_service.store.column_texts import identity_text, key_text, micro, seconds
from authz_service.store.eligibility import refuse_requester
from authz_service.store.ending import expire, move
from authz_service.store.hold_rows import approvals_of, bytes_held, requester_of
from authz_service.store.hold_standing import OPEN, next_turn, stands_at, state_at
from authz_service.store.loading import find_act, hold_with_id, load_acts, said_of, standing_of, summary_of
from authz_service.store.schema import hold_acts, votes
from authz_service.store.transaction import Transaction
from authz_service.store.turning import take as take_turns
from authz_service.store.voices import owners_said, typed_said, voice_of, voice_on
from authz_service.store.vote_rows import act_row, read_act, revised_document
from authz_service.store.voting import refuse_decided

_ACT = insert(hold_acts)
_KINDS = {
    ActKind.CLAIM: Kind.HOLD_CLAIMED,
    ActKind.UNCLAIM: Kind.HOLD_UNCLAIMED,
    ActKind.COMMENT: Kind.HOLD_COMMENTED,
    ActKind.WITHDRAW: Kind.HOLD_WITHDRAWN,
    ActKind.REVIEW: Kind.HOLD_REVIEWED,
    ActKind.EDIT: Kind.HOLD_EDITED,
    ActKind.RESPOND: Kind.HOLD_RESPONDED,
}


def act(transaction: Transaction, draft: ActDraft, limits: HoldLimits, *, act_id: str) -> HoldSummary:
    """Do it and apply what follows; see `Store.act` for what it raises."""
    row = hold_with_id(transaction, draft.hold)
    before = summary_of(transaction, row)  # what cannot be read is refused, and nothing is done to it
    if _is_repeated(transaction, draft):
        return before
    now = seconds(transaction.now)
    owners = owners_said(transaction, draft.owners)
    new = Act(act_id, draft.kind, draft.person, draft.account, draft.name, now, draft.text, owners=owners)
    match draft.kind:
        case ActKind.CLAIM:
            _refuse_claim(transaction, row, draft)
            _act(transaction, row, draft, replace(new, until=now + limits.claim))
        case ActKind.UNCLAIM:
            _refuse_unclaim(transaction, row, draft)
            _act(transaction, row, draft, new)
        case ActKind.COMMENT:
            _act(transaction, row, draft, new)
        case ActKind.WITHDRAW:
            _withdraw(transaction, row, draft, new)
        case ActKind.REVIEW:
            _refuse_review(transaction, row, draft)
            _act(transaction, row, draft, new, {"review": Review.DONE.value})
        case ActKind.EDIT | ActKind.RESPOND:
            _revise(transaction, row, draft, new)
        case _ as never:
            assert_never(never)
    return summary_of(transaction, hold_with_id(transaction, row.id))


def _is_repeated(transaction: Transaction, draft: ActDraft) -> bool:
    """Whether this very act was done before, by its key; the same key for another one is refused."""
    if not draft.idempotency_key:
        return False
    row = find_act(transaction, draft.hold, draft.person, draft.idempotency_key)
    if row is None:
        return False
    before = read_act(row)
    asked = None if before.revised is None else before.revised.asked
    wanted = None if draft.revision is None else draft.revision.asked
    if (before.kind, before.text, asked) != (draft.kind, draft.text, wanted):
        raise Conflict("this idempotency key was used for something else", code="idempotency_key_reused")
    return True


def _refuse_claim(transaction: Transaction, row: Row[Any], draft: ActDraft) -> None:
    refuse_requester(row, draft.person, draft.account, *draft.owners)
    refuse_decided(transaction, row, said_of(transaction, row.id).votes)
    claim = _claim(transaction, row)
    if claim is not None and not _is_theirs(claim, draft):
        raise Conflict(
            f"{claim.name or claim.person[1]} has claimed this hold, until {_moment(claim)}", code="claimed"
        )


def _refuse_unclaim(transaction: Transaction, row: Row[Any], draft: ActDraft) -> None:
    claim = _claim(transaction, row)
    if claim is None or not _is_theirs(claim, draft):
        who = f"{claim.name or claim.person[1]} has" if claim else "nobody has"
        raise Conflict(f"you have not claimed this hold; {who}", code="not_claimed")


def _refuse_review(transaction: Transaction, row: Row[Any], draft: ActDraft) -> None:
    if row.review != Review.DUE.value:
        raise Conflict("this hold needs no review, or has had it", code="nothing_to_review")
    refuse_requester(row, draft.person, draft.account, *draft.owners)
    alone = [vote.id for vote in said_of(transaction, row.id).votes if vote.is_break_glass]
    if set(alone) & _votes_of(transaction, row, draft):
        raise Forbidden("somebody else has to review what you decided alone", code="own_decision")


def _claim(transaction: Transaction, row: Row[Any]) -> Act | None:
    said = said_of(transaction, row.id)
    return claim_of(said.acts, said.votes, now=seconds(transaction.now))


def _is_theirs(claim: Act, draft: ActDraft) -> bool:
    return claim.person == draft.person or claim.account == draft.account


def _moment(claim: Act) -> str:
    return rfc3339(micro(claim.until or claim.at))


def _withdraw(transaction: Transaction, row: Row[Any], draft: ActDraft, new: Act) -> None:
    cast = said_of(transaction, row.id).votes
    if state_at(row, transaction.now) not in OPEN:
        refuse_decided(transaction, row, cast)
    own = _votes_of(transaction, row, draft)
    standing_votes = [v for v in cast if v.withdrawn_at is None and not v.is_void]
    mine = tuple(vote.id for vote in standing_votes if vote.id in own)
    if not mine:
        raise Conflict("you have no vote on this hold that could be taken back", code="no_vote")
    row = take_turns(transaction, row)
    new = replace(new, votes=mine)
    stands = stands_at(row, _without(cast, mine, row), transaction.now)
    match stands:
        case Pending(deadline=deadline):
            turn_at = next_turn(stands, transaction.now)
            values = {"state": HoldState.PENDING.value, "deadline": micro(deadline), "turn_at": turn_at}
            _act(transaction, row, draft, new, values)
        case Approved():
            _act(transaction, row, draft, new)
        case Expired():
            _act(transaction, row, draft, new)
            expire(transaction, hold_with_id(transaction, row.id))
        case Rejected():
            raise RuntimeError("a hold that was open is rejected by taking a vote back")
        case _ as never:
            assert_never(never)


def _revise(transaction: Transaction, row: Row[Any], draft: ActDraft, new: Act) -> None:
    """Other bytes in the place of those that wait: what was voted before is void, and time begins anew."""
    revision = draft.revision
    if revision is None:
        raise ValueError("an edit or a response comes with its bytes")
    refuse_requester(row, draft.person, draft.account, *draft.owners)
    refuse_decided(transaction, row, said_of(transaction, row.id).votes)
    detail = json.loads(row.detail)
    is_edit, is_of_answer = draft.kind is ActKind.EDIT, revision.answer is not None
    if "answer" in detail and not is_of_answer:
        raise Conflict("an answer waits here: edit its texts, not the request", code="answer_waits")
    if is_edit and is_of_answer and "answer" not in detail:
        raise Conflict("no answer of the model's waits here; edit the request", code="request_waits")
    if revision.shown != row.digest:
        raise digest_changed(load_acts(transaction, row.id))
    stands = standing_of(transaction, row)
    if not isinstance(stands, Pending) or not set(stands.open_stages) & set(revision.may_vote_in):
        raise Forbidden("you are not among the reviewers whose vote is open here", code="not_a_reviewer")
    row = take_turns(transaction, row)
    begun = transaction.now
    zones = detail.get("zones", {})
    anew = standing(approvals_of(row), (), opened_at=seconds(begun), now=seconds(begun), zones=zones)
    assert isinstance(anew, Pending)  # nobody has voted, and no time has passed
    digest = hashlib.sha256(revision.forward).hexdigest()
    values = {
        "digest": digest,
        "forward_size": len(revision.forward),
        "begun_at": begun,
        "deadline": micro(anew.deadline),
        "turn_at": next_turn(anew, begun),
    }
    _act(
        transaction,
        row,
        draft,
        replace(new, revised=Revised(digest, revision.findings, revision.answer, revision.asked)),
        values,
    )


def _without(cast: Sequence[Vote], withdrawn: Sequence[str], row: Row[Any]) -> list[Vote]:
    return [vote for vote in cast if vote.id not in withdrawn and vote.digest == row.digest]


def _votes_of(transaction: Transaction, row: Row[Any], draft: ActDraft) -> set[str]:
    """The ids of a person's votes, by whichever of their identities; of this account's with `only_own`."""
    columns = (votes.c.id, votes.c.voter, votes.c.account, votes.c.detail)
    found = transaction.read(select(*columns).where(votes.c.hold == row.id)).all()
    if draft.only_own:
        return {vote.id for vote in found if vote.account == identity_text(draft.account)}
    mine = voice_of(transaction, draft.person, draft.account, draft.owners)
    return {vote.id for vote in found if mine.is_one_with(voice_on(transaction, vote))}


def _act(
    transaction: Transaction,
    row: Row[Any],
    draft: ActDraft,
    new: Act,
    values: Mapping[str, Any] | None = None,
) -> None:
    """The entry, its row, and what becomes of the hold."""
    changes = dict(values or {})
    recorded = transaction.record(_entry(transaction, row, draft, new, changes))
    if draft.revision is not None:
        changes["forward"] = recorded.digests["forward"]
    transaction.change(_ACT, [act_row(draft, new, seq=recorded.last)])
    move(transaction, row, recorded.last, changes)


def _entry(
    transaction: Transaction, row: Row[Any], draft: ActDraft, new: Act, changes: Mapping[str, Any]
) -> EntryDraft:
    voter = {"voter": list(new.person), "account": list(new.account), "name": new.name}
    payloads = {"voter": json.dumps(voter).encode()}
    if new.text:
        name = "comment" if new.kind is ActKind.COMMENT else "reason"
        payloads[name] = new.text.encode(errors="replace")
    if draft.revision is not None:
        payloads["forward"] = draft.revision.forward
        payloads["detail"] = json.dumps(revised_document(new.revised)).encode()
        payloads |= {"changes": draft.revision.changes} if draft.revision.changes else {}
    data: dict[str, Scalar | list[Scalar]] = {
        "hold": row.id,
        "act": new.id,
        "digest": bytes_held(row),
        "voter": transaction.pseudonym(new.person),
        "key": key_text(draft.idempotency_key) if draft.idempotency_key else None,
    }
    data |= {"owners": list(new.owners)} if new.owners else {}
    if new.until is not None:
        data["until"] = rfc3339(micro(new.until))
    if new.kind is ActKind.WITHDRAW:
        data |= {"votes": [*new.votes], "state": changes.get("state", row.state)}
        data["deadline"] = rfc3339(changes.get("deadline", row.deadline))
    if new.revised is not None:
        data["deadline"] = rfc3339(changes["deadline"])
        data["typed"] = [*typed_said(transaction, new.person, new.account)]
    subjects: dict[str, Subject] = {"voter": new.person}
    return EntryDraft(_KINDS[new.kind], row.session, {**data}, payloads, requester_of(row), subjects)
