"""Stages as JSON and back: what a hold keeps of its definitions, and what a policy's digest is over."""

from __future__ import annotations

from typing import Any

from authz_service.core.business_hours import Hours
from authz_service.core.holds import Escalation, Stage


def terms(stage: Stage) -> dict[str, Any]:
    """What a stage has beside its reviewers, votes and time; empty for one that has no more.

    Times are whole seconds. Equal terms are equal stages.
    """
    found: dict[str, Any] = {}
    if stage.escalate is not None:
        found["escalate"] = [stage.escalate.reviewers, int(stage.escalate.within)]
    if stage.remind:
        found["remind"] = int(stage.remind)
    if stage.remind_in_hours:
        found["remind_in_hours"] = True
    if stage.hours is not None:
        hours = stage.hours
        found["hours"] = [hours.zone, list(hours.days), hours.start, hours.end]
    if stage.service_accounts:
        found["service_accounts"] = True
    if stage.editor_may_approve:
        found["editor_may_approve"] = True
    return found


def stage_with(reviewers: str, votes: int, within: float, terms: dict[str, Any] | None = None) -> Stage:
    """The inverse: a stage with these terms."""
    terms = terms or {}
    escalate = terms.get("escalate")
    hours = terms.get("hours")
    return Stage(
        reviewers,
        votes,
        within,
        escalate=Escalation(escalate[0], float(escalate[1])) if escalate else None,
        remind=float(terms.get("remind", 0)),
        hours=Hours(hours[0], tuple(hours[1]), hours[2], hours[3]) if hours else None,
        service_accounts=bool(terms.get("service_accounts")),
        editor_may_approve=bool(terms.get("editor_may_approve")),
        remind_in_hours=bool(terms.get("remind_in_hours")),
    )
