"""What was found where, and what was decided before, beside the hold that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from authz_api.v1 import holds_pb2
from authz_cli.hold_json import state_word, time_text, vote_object
from authz_cli.moments import moment
from authz_cli.safe_text import safe_line

_LEFT_OUT = {
    holds_pb2.LEFT_OUT_NOT_JSON: "not_json",
    holds_pb2.LEFT_OUT_UNREADABLE: "unreadable",
    holds_pb2.LEFT_OUT_TOO_MANY_VALUES: "too_many_values",
    holds_pb2.LEFT_OUT_TOO_LARGE: "too_large",
}
_SPEAKERS = {
    holds_pb2.SPEAKER_SYSTEM: "system",
    holds_pb2.SPEAKER_USER: "user",
    holds_pb2.SPEAKER_ASSISTANT: "assistant",
    holds_pb2.SPEAKER_TOOL: "tool",
    holds_pb2.SPEAKER_OTHER: "other",
}
_KINDS = {
    holds_pb2.PART_KIND_TEXT: "text",
    holds_pb2.PART_KIND_REASONING: "reasoning",
    holds_pb2.PART_KIND_REFUSAL: "refusal",
    holds_pb2.PART_KIND_TOOL_CALL: "tool_call",
    holds_pb2.PART_KIND_TOOL_RESULT: "tool_result",
    holds_pb2.PART_KIND_MEDIA: "media",
    holds_pb2.PART_KIND_TOOL: "tool",
    holds_pb2.PART_KIND_FIELD: "field",
}


def context_facts(context: holds_pb2.HoldContext, now: datetime) -> Iterator[tuple[str, str]]:
    """Lines for people, each with its name."""
    for found in () if context.HasField("conversation") else context.found:
        where = "in the name of a field" if found.is_key else f"characters {found.start + 1} to {found.end}"
        yield "Found at", safe_line(f"{found.path}: {found.entity}, {where}")
    if context.found_is_partial:
        yield "Found at", "there may be more to find: not all of this was searched, or told"
    if context.HasField("approved_before"):
        before = context.approved_before
        yield (
            "Approved",
            safe_line(f"the first {before.messages} turn(s) are those of hold {before.hold}, approved then"),
        )
    for earlier in context.earlier:
        yield "Earlier", _earlier(earlier, now)
    if context.is_partial:
        yield "Earlier", "there are more holds of this caller than were compared"
    if context.likeness_is_partial:
        yield "Earlier", "of long conversations only the end (20,000 characters) was compared"


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
        "conversation": (
            conversation_object(context.conversation) if context.HasField("conversation") else None
        ),
        "left_out": _LEFT_OUT.get(context.left_out),
        "found_is_partial": context.found_is_partial,
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
        "likeness_is_partial": context.likeness_is_partial,
    }


def conversation_object(said: holds_pb2.Conversation) -> dict[str, Any]:
    """A request as the service lays it out. Of a row, `text` or `literal` is null, or both of an object's."""
    turns = [
        {
            "path": turn.path,
            "role": turn.role or None,
            "speaker": _SPEAKERS.get(turn.speaker, "unknown"),
            "is_new": turn.is_new,
            "was_approved": turn.was_approved,
            "parts": [_part(part) for part in turn.parts],
        }
        for turn in said.turns
    ]
    return {"turns": turns, "rest": [_part(part) for part in said.rest]}


def _part(part: holds_pb2.Part) -> dict[str, Any]:
    return {
        "kind": _KINDS.get(part.kind, "unknown"),
        "path": part.path,
        "name": part.name or None,
        "rows": [_row(row) for row in part.rows],
    }


def _row(row: holds_pb2.Row) -> dict[str, Any]:
    return {
        "depth": row.depth,
        "key": row.key if row.HasField("key") else None,
        "text": row.text if row.HasField("text") else None,
        "literal": row.literal if row.HasField("literal") else None,
        "found": [
            {"start": f.start, "end": f.end, "entity": f.entity, "is_key": f.is_key} for f in row.found
        ],
    }


def _earlier(earlier: holds_pb2.EarlierDecision, now: datetime) -> str:
    votes = "; ".join(_vote(vote) for vote in earlier.votes) or "nobody voted"
    at = moment(earlier.created_at.ToDatetime(tzinfo=UTC), now=now)
    return safe_line(f"{earlier.id}, {earlier.likeness} % alike, {state_word(earlier.state)}, {at}: {votes}")


def _vote(vote: holds_pb2.Vote) -> str:
    verdict = "for" if vote.verdict == holds_pb2.VERDICT_APPROVE else "against"
    reason = f", saying: {vote.reason}" if vote.reason else ""
    return f"{verdict}, by {vote.name or vote.voter_subject}{reason}"
