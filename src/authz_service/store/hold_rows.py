"""A hold and its votes as rows, and back; and how a hold reads at a moment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import Row

from authz_service.audit.columns import clean
from authz_service.core.acts import Act, ActDraft, ActKind, AnswerHead, Review, Revised, claim_of
from authz_service.core.grants import Traits
from authz_service.core.holds import (
    Approval,
    Pending,
    Stage,
    StageRef,
    Standing,
    Turn,
    Verdict,
    Vote,
    standing,
)
from authz_service.core.ports import DAMAGED, Ballot, Hold, HoldDraft, HoldState, HoldSummary
from authz_service.core.stage_terms import stage_with, terms
from authz_service.errors import Unavailable
from authz_service.store.zone_rules import zones_of
from authz_service.view.caller import Caller

OPEN = (HoldState.PENDING, HoldState.APPROVED)

_SUMMARY = tuple(field.name for field in fields(HoldSummary))


def micro(seconds: float) -> int:
    """Seconds as microseconds."""
    return round(seconds * 1_000_000)


def seconds(micro: int) -> float:
    """Microseconds as seconds."""
    return micro / 1_000_000


def identity_text(identity: tuple[str, str]) -> str:
    """A person's identity as one column; ASCII JSON, so that no two share it."""
    return json.dumps(identity)


def key_text(idempotency_key: str) -> str:
    """An idempotency key as one column, whatever its length and characters."""
    return hashlib.sha256(json.dumps(idempotency_key).encode()).hexdigest()


def hold_row(draft: HoldDraft, *, forward: bytes, seq: int, now: int) -> dict[str, Any]:
    """The row of a hold that opens at `now`; `forward` is the digest of its payload."""
    zones = zones_of(draft.approvals, seconds(now))
    waiting = standing(draft.approvals, (), opened_at=seconds(now), now=seconds(now), zones=zones)
    if not isinstance(waiting, Pending):
        raise ValueError("a hold begins pending")
    caller = draft.caller
    detail = {
        "caller": caller_document(caller),
        "claims": dict(caller.claims),
        "scope": None if caller.scope is None else list(caller.scope),
        "expires_at": caller.expires_at,
        "api": draft.api,
        "operation": draft.operation,
        "model": draft.model,
        "rule": draft.rule,
        "reason": draft.reason,
        "policy": draft.policy,
        "findings": dict(draft.findings),
        "approvals": approvals_document(draft.approvals),
        "previous": draft.previous,
        "changes": draft.changes,
        "digest": draft.digest,
        "fingerprint": draft.fingerprint,
    }
    if draft.answer is not None:
        detail["answer"] = answer_document(draft.answer)
    if zones:
        detail["zones"] = zones
    if draft.source:
        detail["source"] = draft.source
    if draft.traits is not None:
        detail["traits"] = asdict(draft.traits)
    return {
        "id": draft.id,
        "seq": seq,
        "changed": seq,
        "version": 1,
        "state": HoldState.PENDING.value,
        "deadline": micro(waiting.deadline),
        "created_at": now,
        "session": draft.session,
        "identity": identity_text(caller.identity),
        "fingerprint": draft.fingerprint,
        "digest": draft.digest,
        "forward": forward,
        "forward_size": len(draft.forward),
        "subject": clean(caller.subject),
        "model": clean(draft.model),
        "rule": clean(draft.rule),
        "detail": json.dumps(detail),
        "released_to": None,
        "turn_at": next_turn(waiting, now),
        "begun_at": now,
        "review": Review.NONE.value,
    }


def vote_row(
    ballot: Ballot, counts_for: Sequence[StageRef], owners: Sequence[str], *, id: str, seq: int, now: int
) -> dict[str, Any]:
    """The row of a vote cast at `now`, which counts in the stages given and in no other.

    `owners` are the pseudonyms of who owns the voter's account.
    """
    detail = vote_detail(ballot.name, ballot.reason, counts_for, owners, is_break_glass=ballot.is_break_glass)
    return {
        "seq": seq,
        "id": id,
        "hold": ballot.hold,
        "voter": identity_text(ballot.voter),
        "account": identity_text(ballot.account or ballot.voter),
        "idempotency_key": key_text(ballot.idempotency_key) if ballot.idempotency_key else None,
        "approves": ballot.verdict is Verdict.APPROVE,
        "digest": ballot.digest,
        "at": now,
        "detail": json.dumps(detail),
    }


def vote_detail(
    name: str,
    reason: str,
    counts_for: Sequence[StageRef],
    owners: Sequence[Any] = (),
    *,
    is_break_glass: bool,
) -> dict[str, Any]:
    """What the column `detail` of a vote has, as JSON."""
    detail = {"name": name, "reason": reason, "counts_for": [_ref_document(ref) for ref in counts_for]}
    return detail | _owners_document(owners) | ({"break_glass": True} if is_break_glass else {})


def _owners_document(owners: Sequence[Any]) -> dict[str, Any]:
    return {"owners": list(owners)} if owners else {}


def _ref_document(ref: StageRef) -> list[Any]:
    return [ref.approval, ref.stage, *([True] if ref.is_escalated else [])]


def stage_text(ref: StageRef) -> str:
    """A stage as entries name it: `security/0`, `security/0/escalated`."""
    return f"{ref.approval}/{ref.stage}" + ("/escalated" if ref.is_escalated else "")


def read_stage(text: str) -> StageRef:
    """The inverse of `stage_text`; no name of an approval has a slash."""
    approval, stage, *more = text.split("/")
    if more not in ([], ["escalated"]):
        raise ValueError("this names no stage")
    return StageRef(approval, int(stage), bool(more))


def act_row(draft: ActDraft, act: Act, *, seq: int) -> dict[str, Any]:
    """The row of what a reviewer did."""
    return {
        "seq": seq,
        "id": act.id,
        "hold": draft.hold,
        "kind": act.kind.value,
        "voter": identity_text(act.person),
        "account": identity_text(act.account),
        "idempotency_key": key_text(draft.idempotency_key) if draft.idempotency_key else None,
        "at": micro(act.at),
        "detail": json.dumps(
            act_detail(act.name, act.text, act.votes, act.until, revised_document(act.revised), act.owners)
        ),
    }


def act_detail(
    name: str,
    text: str,
    votes: Sequence[str],
    until: float | None,
    revised: Mapping[str, Any] | None,
    owners: Sequence[Any] = (),
) -> dict[str, Any]:
    """What the column `detail` of an act has, as JSON."""
    detail: dict[str, Any] = {"name": name, "text": text, "votes": list(votes), "until": until}
    detail |= _owners_document(owners)
    return detail if revised is None else detail | {"revised": revised}


def revised_document(revised: Revised | None) -> dict[str, Any] | None:
    """What an edit or a response made of a hold, as JSON."""
    if revised is None:
        return None
    document: dict[str, Any] = {"digest": revised.digest, "findings": dict(revised.findings)}
    document |= {"asked": revised.asked} if revised.asked else {}
    return document | ({"answer": answer_document(revised.answer)} if revised.answer else {})


def _read_revised(document: Any) -> Revised | None:
    if document is None:
        return None
    answer = read_answer(document["answer"]) if "answer" in document else None
    return Revised(document["digest"], document["findings"], answer, document.get("asked", ""))


def read_act(row: Row[Any]) -> Act:
    """A row of `hold_acts`."""
    detail = json.loads(row.detail)
    voter, account = json.loads(row.voter), json.loads(row.account)
    return Act(
        row.id,
        ActKind(row.kind),
        (voter[0], voter[1]),
        (account[0], account[1]),
        detail["name"],
        seconds(row.at),
        detail["text"],
        tuple(detail["votes"]),
        detail["until"],
        _read_revised(detail.get("revised")),
        row.seq,
        tuple(detail.get("owners", ())),
    )


def read_vote(row: Row[Any], withdrawn: Mapping[str, float], revised: int) -> Vote:
    """A row of `votes`; `withdrawn` has the ids of those that were taken back, and when.

    Those before the entry `revised`, the last edit of the hold, are void.
    """
    detail = json.loads(row.detail)
    issuer, subject = json.loads(row.voter)
    return Vote(
        row.id,
        (issuer, subject),
        Verdict.APPROVE if row.approves else Verdict.REJECT,
        row.digest,
        seconds(row.at),
        tuple(StageRef(*ref) for ref in detail["counts_for"]),
        detail["name"],
        detail["reason"],
        bool(detail.get("break_glass")),
        withdrawn.get(row.id),
        row.seq < revised,
    )


def read_summary(row: Row[Any], *, votes: Sequence[Vote], acts: Sequence[Act], now: int) -> HoldSummary:
    """A row of `holds` as it stands at `now`."""
    detail = json.loads(row.detail)
    approvals = read_approvals(detail["approvals"])
    state = state_at(row, now)
    zones = detail.get("zones", {})
    stands = None
    if state is HoldState.PENDING:
        stands = standing(approvals, votes, opened_at=seconds(row.begun_at), now=seconds(now), zones=zones)
    pending = stands if isinstance(stands, Pending) else None
    revised = next((act.revised for act in reversed(acts) if act.revised is not None), None)
    answer = read_answer(detail["answer"]) if "answer" in detail else None
    return HoldSummary(
        row.id,
        row.session,
        _caller_of(detail),
        row.fingerprint,
        detail["changes"],
        row.digest,
        row.forward_size,
        detail["api"],
        detail["operation"],
        detail["model"],
        detail["rule"],
        detail["reason"],
        detail["policy"],
        approvals,
        detail["findings"] if revised is None else revised.findings,
        detail["previous"],
        state,
        row.version,
        seconds(row.created_at),
        seconds(row.deadline),
        tuple(votes),
        row.released_to,
        answer=answer if revised is None else revised.answer,
        open_stages=pending.open_stages if pending else (),
        turns=pending.turns if pending else (),
        counted=pending.counted if pending else (),
        acts=tuple(acts),
        claim=claim_of(acts, votes, now=seconds(now)) if pending else None,
        is_due_soon=pending is not None and _is_due_soon(pending, now),
        review=Review(row.review),
        zones=zones,
        source=detail.get("source", ""),
        traits=read_traits(detail.get("traits")),
        was_answered="answer" in detail,
    )


def with_bytes(summary: HoldSummary, forward: bytes) -> Hold:
    """The hold with its bytes; raises `Unavailable` where these are others."""
    require_digest(summary, forward)
    known = {name: getattr(summary, name) for name in _SUMMARY}
    return Hold(**known, forward=forward)


def require_digest(hold: HoldSummary | Row[Any], forward: bytes) -> bytes:
    """The bytes of a hold; raises `Unavailable` where these are others."""
    if hashlib.sha256(forward).hexdigest() != hold.digest:
        raise Unavailable(f"the stored bytes of hold {hold.id} are damaged", code=DAMAGED)
    return forward


def read_traits(document: Any) -> Traits | None:
    """The inverse of what a hold's detail has of its kind; holds of earlier versions have none."""
    if document is None:
        return None
    rules, tools, unread = (tuple(document[name]) for name in ("rules", "tools", "unread"))
    return Traits(rules, tools, unread, document["template"])


def _is_due_soon(pending: Pending, now: int) -> bool:
    return any(
        turn.turn is Turn.REMINDED and turn.stage in pending.open_stages and micro(turn.at) <= now
        for turn in pending.turns
    )


def _caller_of(detail: Mapping[str, Any]) -> Caller:
    caller = read_caller(detail["caller"], claims=detail["claims"], expires_at=detail["expires_at"])
    scope = detail.get("scope")  # holds of before there were scopes have none
    return caller if scope is None else replace(caller, scope=tuple(scope))


def state_at(row: Row[Any], now: int) -> HoldState:
    """The state of a row of `holds` at `now`: an overdue one is expired, swept or not."""
    state = HoldState(row.state)
    return HoldState.EXPIRED if state in OPEN and row.deadline <= now else state


def stands_at(row: Row[Any], votes: Sequence[Vote], now: int) -> Standing:
    """Where a row of `holds` stands at `now` by these votes, whatever its column says."""
    detail = json.loads(row.detail)
    return standing(
        read_approvals(detail["approvals"]),
        votes,
        opened_at=seconds(row.begun_at),
        now=seconds(now),
        zones=detail.get("zones", {}),
    )


def next_turn(stands: Pending, now: int) -> int | None:
    """When the next turn after `now` is due; None when there is none."""
    return next((micro(turn.at) for turn in stands.turns if micro(turn.at) > now), None)


def bytes_held(row: Row[Any]) -> str:
    """The name that entries have for the bytes of a hold: the salted digest of their payload.

    Theirs alone, by which reviewers approve them, could be guessed back after they are gone.
    """
    return bytes(row.forward).hex()


def requester_of(row: Row[Any]) -> tuple[str, str]:
    """The identity of whoever waits."""
    issuer, subject = json.loads(row.identity)
    return issuer, subject


def caller_of(row: Row[Any]) -> Caller:
    """Who waits, as their token said when the hold was opened."""
    return _caller_of(json.loads(row.detail))


def approvals_of(row: Row[Any]) -> tuple[Approval, ...]:
    """The definitions that a hold was opened under."""
    return read_approvals(json.loads(row.detail)["approvals"])


def approvals_document(approvals: Sequence[Approval]) -> list[dict[str, Any]]:
    """Approval definitions as JSON; equal documents are equal definitions."""
    return [
        {
            "name": a.name,
            "snapshot": a.snapshot,
            "stages": [_stage_document(stage) for stage in a.stages],
        }
        for a in approvals
    ]


def _stage_document(stage: Stage) -> list[Any]:
    more = terms(stage)
    return [stage.reviewers, stage.votes, stage.within, *([more] if more else [])]


def read_approvals(document: Sequence[Any]) -> tuple[Approval, ...]:
    """The inverse of `approvals_document`."""
    return tuple(
        Approval(a["name"], tuple(stage_with(*s) for s in a["stages"]), a["snapshot"]) for a in document
    )


def answer_document(answer: AnswerHead) -> dict[str, Any]:
    """The head of an answer as JSON."""
    return {"status": answer.status, "headers": dict(answer.headers), "masked": dict(answer.masked)}


def read_answer(document: Any) -> AnswerHead:
    """The inverse of `answer_document`."""
    return AnswerHead(document["status"], document["headers"], document["masked"])


def caller_document(caller: Caller) -> dict[str, Any]:
    """Who a caller is, without token claims: the form of the payload "caller"."""
    return {
        "issuer": caller.issuer,
        "subject": caller.subject,
        "groups": list(caller.groups),
        "groups_complete": caller.groups_complete,
        "person": caller.person,
    }


def read_caller(document: Any, *, claims: dict[str, Any], expires_at: float) -> Caller:
    """The inverse of `caller_document`."""
    return Caller(
        document["issuer"],
        document["subject"],
        expires_at,
        tuple(document["groups"]),
        document["groups_complete"],
        document["person"],
        claims,
    )
