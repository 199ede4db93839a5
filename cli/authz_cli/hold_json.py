"""Holds as JSON, for scripts: the names and shapes stay."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import common_pb2, holds_pb2
from authz_cli.outline import parse

Object = dict[str, Any]

_REVIEWS = {holds_pb2.REVIEW_STATE_DUE: "due", holds_pb2.REVIEW_STATE_DONE: "done"}
_ACTS = {
    holds_pb2.ACT_KIND_CLAIM: "claim",
    holds_pb2.ACT_KIND_UNCLAIM: "unclaim",
    holds_pb2.ACT_KIND_COMMENT: "comment",
    holds_pb2.ACT_KIND_WITHDRAW: "withdraw",
    holds_pb2.ACT_KIND_REVIEW: "review",
    holds_pb2.ACT_KIND_EDIT: "edit",
    holds_pb2.ACT_KIND_RESPOND: "respond",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hold_object(hold: holds_pb2.Hold) -> Object:
    """One hold without its body. Times are RFC 3339 in UTC; `findings` are counts."""
    return {
        "id": hold.id,
        "state": state_word(hold.state),
        "caller": caller_object(hold.caller),
        "model": hold.model,
        "rule": hold.rule,
        "reason": hold.reason,
        "digest": hold.digest,
        "created_at": time_text(hold.created_at),
        "deadline": time_text(hold.deadline),
        "waiting": hold.waiting,
        "findings": dict(sorted(hold.findings.items())),
        "session": hold.session,
        "version": hold.version,
        "api": hold.api,
        "operation": hold.operation,
        "policy": hold.policy,
        "stages": [_stage(stage) for stage in hold.stages],
        "votes": [vote_object(vote) for vote in hold.votes],
        "may_vote_in": [_ref(ref) for ref in hold.may_vote_in],
        "previous": hold.previous or None,
        "released_to": hold.released_to or None,
        "superseded_by": hold.superseded_by or None,
        "claim": _act(hold.claim) if hold.HasField("claim") else None,
        "acts": [_act(act) for act in hold.acts],
        "review": _REVIEWS.get(hold.review),
        "is_due_soon": hold.is_due_soon,
        "source": hold.source or None,
        "edited": hold.is_edited,
        "responded": hold.is_response,
        "answer": _answer(hold.answer) if hold.HasField("answer") else None,
    }


def hold_with_body(hold: holds_pb2.Hold) -> Object:
    """`forward` is the body that would go to the model, `forward_base64` instead when it is no UTF-8.

    `unread` lists what in it is no text, `concealed` counts the placeholders of what is concealed in it.
    """
    more: Object = {
        "unread": [_unread(v) for v in hold.unread],
        "concealed": dict(sorted(hold.concealed.items())),
    }
    return hold_object(hold) | body_member("forward", hold.forward) | more


def change_object(change: holds_pb2.Change) -> Object:
    """What an edit changed at a place; `before` or `after` is missing where there is nothing."""
    said: Object = {"path": change.path}
    if change.HasField("before"):
        said["before"] = _value(change.before)
    if change.HasField("after"):
        said["after"] = _value(change.after)
    return said


def _value(value: holds_pb2.Value) -> Any:
    """Numbers are as they are written; `json_text` writes them so."""
    return value.text if value.HasField("text") else parse(value.json.encode())


def edit_object(edit: holds_pb2.Edit) -> Object:
    """What one edit changed, or why that is not told."""
    changes = [change_object(change) for change in edit.changes]
    return {"act": edit.act, "changes": changes, "missing": edit.missing or None}


def body_member(name: str, body: bytes) -> Object:
    """A body under its name as text, or under NAME_base64 when it is no UTF-8."""
    try:
        return {name: body.decode("utf-8")}
    except UnicodeDecodeError:
        return {name: None, f"{name}_base64": base64.b64encode(body).decode("ascii")}


def caller_object(caller: common_pb2.Caller) -> Object:
    """Who sent a request."""
    return {
        "issuer": caller.issuer,
        "subject": caller.subject,
        "groups": list(caller.groups),
        "groups_complete": caller.groups_complete,
        "person": caller.person or None,
    }


def state_word(state: int) -> str:
    """`pending`, `approved`, ...; `unknown` for one that this program is too old to know."""
    if state not in holds_pb2.HoldState.values() or state == holds_pb2.HOLD_STATE_UNSPECIFIED:
        return "unknown"
    name = holds_pb2.HoldState.Name(holds_pb2.HoldState.ValueType(state))
    return name.removeprefix("HOLD_STATE_").lower()


def time_text(at: Timestamp) -> str:
    """RFC 3339 in UTC."""
    return at.ToJsonString()


def _answer(answer: holds_pb2.Answer) -> Object:
    return {"status": answer.status, "content_type": answer.content_type, "masked": dict(answer.masked)}


def _unread(value: holds_pb2.Unread) -> Object:
    return {
        "kind": value.kind,
        "type": value.type,
        "declared": value.declared,
        "mismatch": value.mismatch,
        "scheme": value.scheme,
        "size": value.size,
        "sha256": value.sha256,
        "path": value.path,
    }


def _stage(stage: holds_pb2.Stage) -> Object:
    return _ref(stage.ref) | {
        "reviewers": stage.reviewers,
        "votes": stage.votes,
        "within_seconds": stage.within.ToMicroseconds() / 1_000_000,
        "is_open": stage.is_open,
        "counted": stage.counted,
        "escalation": _escalation(stage),
        "hours": _hours(stage.hours) if stage.HasField("hours") else None,
        "service_accounts": stage.service_accounts,
    }


def _escalation(stage: holds_pb2.Stage) -> Object | None:
    if not stage.HasField("escalation"):
        return None
    return {
        "reviewers": stage.escalation.reviewers,
        "within_seconds": stage.escalation.within.ToMicroseconds() / 1_000_000,
        "is_escalated": stage.is_escalated,
        "escalates_at": time_text(stage.escalates_at) if stage.HasField("escalates_at") else None,
    }


def _hours(hours: holds_pb2.BusinessHours) -> Object:
    clocks = {name: f"{at // 3600:02}:{at % 3600 // 60:02}" for name, at in _span(hours)}
    return {"zone": hours.zone, "days": [_DAYS[day] for day in hours.days if day < len(_DAYS)], **clocks}


def _span(hours: holds_pb2.BusinessHours) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("from", getattr(hours, "from")), ("to", hours.to)


def _act(act: holds_pb2.Act) -> Object:
    return {
        "id": act.id,
        "kind": _ACTS.get(act.kind, "unknown"),
        "person": [act.person_issuer, act.person_subject],
        "name": act.name,
        "at": time_text(act.at),
        "text": act.text,
        "votes": list(act.votes),
        "digest": act.digest or None,
        "until": time_text(act.until) if act.HasField("until") else None,
    }


def _ref(ref: holds_pb2.StageRef) -> Object:
    return {"approval": ref.approval, "stage": ref.stage, "is_escalated": ref.is_escalated}


def vote_object(vote: holds_pb2.Vote) -> Object:
    """One vote."""
    return {
        "id": vote.id,
        "voter": [vote.voter_issuer, vote.voter_subject],
        "name": vote.name,
        "verdict": "approve" if vote.verdict == holds_pb2.VERDICT_APPROVE else "reject",
        "digest": vote.digest,
        "reason": vote.reason,
        "at": time_text(vote.at),
        "void": vote.is_void,
        "counts_for": [_ref(ref) for ref in vote.counts_for],
        "break_glass": vote.break_glass,
        "withdrawn_at": time_text(vote.withdrawn_at) if vote.HasField("withdrawn_at") else None,
    }
