"""Approvals, callers, answers and traits as JSON, and back: the column `detail` of a hold has these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authz_service.core.acts import AnswerHead
from authz_service.core.grants import Traits
from authz_service.core.holds import Approval, Stage
from authz_service.core.stage_terms import stage_with, terms
from authz_service.view.caller import Caller


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


def read_traits(document: Any) -> Traits | None:
    """The inverse of what a hold's detail has of its kind; holds of earlier versions have none."""
    if document is None:
        return None
    rules, tools, unread = (tuple(document[name]) for name in ("rules", "tools", "unread"))
    return Traits(rules, tools, unread, document["template"])
