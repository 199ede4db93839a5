"""What was found where, and what was decided before, beside the hold that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from authz_api.v1 import holds_pb2
from authz_cli.hold_json import state_word, time_text, vote_object
from authz_cli.moments import moment
from authz_cli.safe_text import safe_line


def context_facts(context: holds_pb2.HoldContext, now: datetime) -> Iterator[tuple[str, str]]:
    """Lines for people, each with its name."""
    for found in context.found:
        where = "in the name of a field" if found.is_key else f"characters {found.start + 1} to {found.end}"
        yield "Found at", safe_line(f"{found.path}: {found.entity}, {where}")
    if context.HasField("approved_before"):
        before = context.approved_before
        yield (
            "Approved",
            safe_line(
                f"the first {before.messages} message(s) are those of hold {before.hold}, approved then"
            ),
        )
    for earlier in context.earlier:
        yield "Earlier", _earlier(earlier, now)
    if context.is_partial:
        yield "Earlier", "there are more holds of this caller than were compared"


def context_object(context: holds_pb2.HoldContext) -> dict[str, Any]:
    """The same as JSON."""
    before = context.approved_before
    return {
        "found": [
            {"path": f.path, "start": f.start, "end": f.end, "entity": f.entity, "is_key": f.is_key}
            for f in context.found
        ],
        "in_answer": [
            {
                "name": text.name,
                "text": text.text,
                "found": [{"start": f.start, "end": f.end, "entity": f.entity} for f in text.found],
            }
            for text in context.in_answer
        ],
        "approved_before": (
            {"hold": before.hold, "messages": before.messages}
            if context.HasField("approved_before")
            else None
        ),
        "new_turn": context.new_turn or None,
        "earlier": [
            {
                "id": earlier.id,
                "state": state_word(earlier.state),
                "likeness": earlier.likeness,
                "created_at": time_text(earlier.created_at),
                "votes": [vote_object(vote) for vote in earlier.votes],
            }
            for earlier in context.earlier
        ],
        "is_partial": context.is_partial,
    }


def _earlier(earlier: holds_pb2.EarlierDecision, now: datetime) -> str:
    votes = "; ".join(_vote(vote) for vote in earlier.votes) or "nobody voted"
    at = moment(earlier.created_at.ToDatetime(tzinfo=UTC), now=now)
    return safe_line(f"{earlier.id}, {earlier.likeness} % alike, {state_word(earlier.state)}, {at}: {votes}")


def _vote(vote: holds_pb2.Vote) -> str:
    verdict = "for" if vote.verdict == holds_pb2.VERDICT_APPROVE else "against"
    reason = f", saying: {vote.reason}" if vote.reason else ""
    return f"{verdict}, by {vote.name or vote.voter_subject}{reason}"
