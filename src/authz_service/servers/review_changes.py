"""Translates what edits changed, as it is on record, into the messages of authz.v1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from authz_api.v1 import holds_pb2 as pb
from authz_service.framing.json_values import count_values
from authz_service.servers.review_messages import safe_pointer, safe_text
from authz_service.view.exact import Number, exact_json, write_exact

MOST_VALUES: Final = 400_000
"""Of a hold's edits on record, of which one has twice as many as can be edited: each takes time and room."""
TOO_LARGE: Final = "they are too large to be shown beside the hold"


def edits_of(recorded: Mapping[str, bytes | str], *, is_answer: bool) -> list[pb.Edit]:
    """What each act changed, from its JSON, or why that is not told; the latest of too many."""
    left = MOST_VALUES
    edits: list[pb.Edit] = []
    for act, said in reversed([*recorded.items()]):
        values = count_values(said, left) if isinstance(said, bytes) else 0
        is_too_much = values == left
        edits.append(_edit(act, TOO_LARGE if is_too_much else said, is_answer=is_answer))
        left -= 0 if is_too_much else values
    return edits[::-1]


def changes_in(recorded: bytes, *, is_answer: bool) -> list[pb.Change]:
    """The changes of one edit, from JSON as `differences` and `changed_texts` write it."""
    return [_change(change, is_answer=is_answer) for change in exact_json(recorded)] if recorded else []


def leave_out(edits: Iterable[pb.Edit]) -> None:
    """Take the changes out, and say so."""
    for edit in edits:
        edit.ClearField("changes")
        edit.missing = edit.missing or TOO_LARGE


def _edit(act: str, said: bytes | str, *, is_answer: bool) -> pb.Edit:
    if isinstance(said, str):
        return pb.Edit(act=safe_text(act), missing=safe_text(said))
    return pb.Edit(act=safe_text(act), changes=changes_in(said, is_answer=is_answer))


def _change(change: Mapping[str, Any], *, is_answer: bool) -> pb.Change:
    path: Sequence[str | Number] = change["path"]
    message = pb.Change(path=safe_text(str(path[0])) if is_answer else safe_pointer(tuple(_steps(path))))
    for name in ("before", "after"):
        # Of an answer, a text that is not there is null.
        if name in change and not (is_answer and change[name] is None):
            getattr(message, name).CopyFrom(_value(change[name]))
    return message


def _steps(path: Iterable[str | Number]) -> Iterator[str]:
    return (step.token if isinstance(step, Number) else step for step in path)


def _value(value: Any) -> pb.Value:
    if isinstance(value, str):
        return pb.Value(text=safe_text(value))
    return pb.Value(json=safe_text(write_exact(value).decode()))
