"""Translates what a request says into the messages of authz.v1: turns, parts and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from authz_api.v1 import holds_pb2 as pb
from authz_service.inspection.conversation import Conversation, LaidPart, LaidTurn, Row
from authz_service.inspection.marks import Mark
from authz_service.inspection.shown import LeftOut, Shown
from authz_service.servers.review_messages import safe_pointer, safe_text
from authz_service.view.request import Path, Role
from authz_service.view.turns import PartKind

_LONGEST_POINTERS = 4 * 1024 * 1024
"""Characters of the places of all findings: names of fields may be of any length, and each is told anew."""

_LEFT_OUT = {
    LeftOut.UNREADABLE: pb.LEFT_OUT_UNREADABLE,
    LeftOut.TOO_MANY_VALUES: pb.LEFT_OUT_TOO_MANY_VALUES,
}
_SPEAKERS = {
    Role.SYSTEM: pb.SPEAKER_SYSTEM,
    Role.USER: pb.SPEAKER_USER,
    Role.ASSISTANT: pb.SPEAKER_ASSISTANT,
    Role.TOOL: pb.SPEAKER_TOOL,
    Role.OTHER: pb.SPEAKER_OTHER,
}
_KINDS = {
    PartKind.TEXT: pb.PART_KIND_TEXT,
    PartKind.REASONING: pb.PART_KIND_REASONING,
    PartKind.REFUSAL: pb.PART_KIND_REFUSAL,
    PartKind.TOOL_CALL: pb.PART_KIND_TOOL_CALL,
    PartKind.TOOL_RESULT: pb.PART_KIND_TOOL_RESULT,
    PartKind.MEDIA: pb.PART_KIND_MEDIA,
    PartKind.TOOL: pb.PART_KIND_TOOL,
    PartKind.FIELD: pb.PART_KIND_FIELD,
}

WasApproved = Callable[[Path], bool]


def add_shown(context: pb.HoldContext, said: Shown, was_approved: WasApproved | None) -> None:
    """Puts what a request says into what is known beside it; `was_approved` of each turn, if any was."""
    context.new_turn = safe_pointer(said.turn)
    context.found_is_partial = not said.is_marked
    left = _LONGEST_POINTERS
    for mark in said.marks:
        place = safe_pointer(mark.path)
        left -= len(place)
        if left < 0:
            context.found_is_partial = True
            break
        context.found.append(_found(mark, place))
    if said.left_out is not None:
        context.left_out = _LEFT_OUT[said.left_out]
    if said.conversation is not None:
        _add_conversation(context.conversation, said.conversation, was_approved)


def _add_conversation(message: pb.Conversation, said: Conversation, was_approved: WasApproved | None) -> None:
    message.SetInParent()
    for turn in said.turns:
        _add_turn(message.turns.add(), turn, was_approved)
    _add_parts(message.rest, said.rest)


def _add_turn(message: pb.Turn, turn: LaidTurn, was_approved: WasApproved | None) -> None:
    said = turn.turn
    message.path, message.role = safe_pointer(said.path), safe_text(said.role)
    message.speaker, message.is_new = _SPEAKERS[said.speaker], turn.is_new
    message.was_approved = was_approved is not None and was_approved(said.path)
    _add_parts(message.parts, turn.parts)


def _add_parts(messages: RepeatedCompositeFieldContainer[pb.Part], parts: Iterable[LaidPart]) -> None:
    for part, rows in parts:
        message = messages.add(
            kind=_KINDS[part.kind], path=safe_pointer(part.path), name=safe_text(part.name)
        )
        for row in rows:
            _add_row(message, row)


def _add_row(part: pb.Part, row: Row) -> None:
    # Without the arguments that are absent: there may be 100,000 of them.
    if row.text is not None:
        message = part.rows.add(depth=row.depth, key=row.key, text=row.text)
    elif row.literal:
        message = part.rows.add(depth=row.depth, key=row.key, literal=row.literal)
    else:
        message = part.rows.add(depth=row.depth, key=row.key)
    if row.marks:
        _add_found(message, row.marks)


def _add_found(row: pb.Row, marks: Sequence[Mark]) -> None:
    for mark in marks:
        if row.HasField("literal") and not mark.is_key:
            row.found.append(pb.Found(start=0, end=len(row.literal), entity=mark.entity))
        else:
            row.found.append(_found(mark))


def _found(mark: Mark, place: str = "") -> pb.Found:
    return pb.Found(path=place, start=mark.start, end=mark.end, entity=mark.entity, is_key=mark.is_key)
