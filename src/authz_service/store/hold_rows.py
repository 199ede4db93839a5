"""A hold as a row, and back as it stands at a moment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import Row

from authz_service.audit.columns import clean
from authz_service.core.acts import Act, Review, claim_of
from authz_service.core.holds import Approval, Pending, Vote
from authz_service.core.ports import DAMAGED
from authz_service.core.standing import standing
from authz_service.core.stored_holds import Hold, HoldDraft, HoldState, HoldSummary
from authz_service.errors import Unavailable
from authz_service.store.column_texts import identity_text, micro, seconds
from authz_service.store.damage import reading
from authz_service.store.hold_documents import (
    answer_document,
    approvals_document,
    caller_document,
    read_answer,
    read_approvals,
    read_caller,
    read_traits,
)
from authz_service.store.hold_standing import is_due_soon, next_turn, state_at
from authz_service.store.zone_rules import zones_of
from authz_service.view.caller import Caller

_SUMMARY = tuple(field.name for field in fields(HoldSummary))


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
        is_due_soon=pending is not None and is_due_soon(pending, now),
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


def _caller_of(detail: Mapping[str, Any]) -> Caller:
    caller = read_caller(detail["caller"], claims=detail["claims"], expires_at=detail["expires_at"])
    scope = detail.get("scope")  # holds of before there were scopes have none
    return caller if scope is None else replace(caller, scope=tuple(scope))


def bytes_held(row: Row[Any]) -> str:
    """The name that entries have for the bytes of a hold: the salted digest of their payload.

    Theirs alone, by which reviewers approve them, could be guessed back after they are gone. Raises
    `Unavailable` (`record_damaged`) where the row has none.
    """
    return payload_held(row).hex()


def payload_held(row: Row[Any]) -> bytes:
    """The same as the payload has it; raises `Unavailable` (`record_damaged`) where it is none."""
    with reading(f"hold {row.id}"):
        return bytes(memoryview(row.forward))  # SQLite gives back whatever was put there


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
