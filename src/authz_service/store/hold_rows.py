"""A hold and its votes as rows, and back; and how a hold reads at a moment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from authz_service.audit.columns import clean
from authz_service.core.holds import Approval, Pending, Stage, StageRef, Verdict, Vote, standing
from authz_service.core.ports import AnswerHead, Ballot, Hold, HoldDraft, HoldState
from authz_service.errors import Unavailable
from authz_service.view.caller import Caller

OPEN = (HoldState.PENDING, HoldState.APPROVED)


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
    waiting = standing(draft.approvals, (), opened_at=seconds(now), now=seconds(now))
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
    }


def vote_row(
    ballot: Ballot, counts_for: Sequence[StageRef], *, id: str, seq: int, now: int
) -> dict[str, Any]:
    """The row of a vote cast at `now`, which counts in the stages given and in no other."""
    detail = vote_detail(ballot.name, ballot.reason, counts_for)
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


def vote_detail(name: str, reason: str, counts_for: Sequence[StageRef]) -> dict[str, Any]:
    """What the column `detail` of a vote has, as JSON."""
    return {
        "name": name,
        "reason": reason,
        "counts_for": [[ref.approval, ref.stage] for ref in counts_for],
    }


def read_vote(row: Row[Any]) -> Vote:
    """A row of `votes`."""
    detail = json.loads(row.detail)
    issuer, subject = json.loads(row.voter)
    return Vote(
        row.id,
        (issuer, subject),
        Verdict.APPROVE if row.approves else Verdict.REJECT,
        row.digest,
        seconds(row.at),
        tuple(StageRef(approval, stage) for approval, stage in detail["counts_for"]),
        detail["name"],
        detail["reason"],
    )


def read_hold(row: Row[Any], *, forward: bytes, votes: Sequence[Vote], now: int) -> Hold:
    """A row of `holds` as it stands at `now`; raises `Unavailable` when `forward` was altered."""
    if hashlib.sha256(forward).hexdigest() != row.digest:
        raise Unavailable(f"the stored bytes of hold {row.id} are damaged", code="record_damaged")
    detail = json.loads(row.detail)
    approvals = read_approvals(detail["approvals"])
    state = state_at(row, now)
    return Hold(
        row.id,
        row.session,
        _caller_of(detail),
        row.fingerprint,
        detail["changes"],
        row.digest,
        forward,
        detail["api"],
        detail["operation"],
        detail["model"],
        detail["rule"],
        detail["reason"],
        detail["policy"],
        approvals,
        detail["findings"],
        detail["previous"],
        state,
        row.version,
        seconds(row.created_at),
        seconds(row.deadline),
        tuple(votes),
        row.released_to,
        open_stages(row, approvals, votes, now) if state is HoldState.PENDING else (),
        read_answer(detail["answer"]) if "answer" in detail else None,
    )


def _caller_of(detail: Mapping[str, Any]) -> Caller:
    caller = read_caller(detail["caller"], claims=detail["claims"], expires_at=detail["expires_at"])
    scope = detail.get("scope")  # holds of before there were scopes have none
    return caller if scope is None else replace(caller, scope=tuple(scope))


def state_at(row: Row[Any], now: int) -> HoldState:
    """The state of a row of `holds` at `now`: an overdue one is expired, swept or not."""
    state = HoldState(row.state)
    return HoldState.EXPIRED if state in OPEN and row.deadline <= now else state


def open_stages(
    row: Row[Any], approvals: Sequence[Approval], votes: Sequence[Vote], now: int
) -> tuple[StageRef, ...]:
    """The stages in which a pending hold takes votes at `now`."""
    stands = standing(approvals, votes, opened_at=seconds(row.created_at), now=seconds(now))
    return stands.open_stages if isinstance(stands, Pending) else ()


def bytes_held(row: Row[Any]) -> str:
    """The name that entries have for the bytes of a hold: the salted digest of their payload.

    Theirs alone, by which reviewers approve them, could be guessed back after they are gone.
    """
    return bytes(row.forward).hex()


def requester_of(row: Row[Any]) -> tuple[str, str]:
    """The identity of whoever waits."""
    issuer, subject = json.loads(row.identity)
    return issuer, subject


def approvals_of(row: Row[Any]) -> tuple[Approval, ...]:
    """The definitions that a hold was opened under."""
    return read_approvals(json.loads(row.detail)["approvals"])


def approvals_document(approvals: Sequence[Approval]) -> list[dict[str, Any]]:
    """Approval definitions as JSON; equal documents are equal definitions."""
    return [
        {
            "name": a.name,
            "snapshot": a.snapshot,
            "stages": [[s.reviewers, s.votes, s.within] for s in a.stages],
        }
        for a in approvals
    ]


def read_approvals(document: Sequence[Any]) -> tuple[Approval, ...]:
    """The inverse of `approvals_document`."""
    return tuple(Approval(a["name"], tuple(Stage(*s) for s in a["stages"]), a["snapshot"]) for a in document)


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
