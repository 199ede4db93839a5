"""What an edit changes, value by value, for people: the lines that are gone and those that are new."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from authz_api.v1 import holds_pb2
from authz_cli.conversation import FIELD_BAR, TEXT_BAR, barred
from authz_cli.outline import outline, parse

_LEFT_OUT = ""


def change_lines(changes: Iterable[holds_pb2.Change], width: int | None) -> Iterator[str]:
    """Of each change its place, then its lines behind `-` or `+`, and those around them behind neither.

    How many others are left out is said at the bar of the place: no line of the text's stands there.
    """
    for change in changes:
        yield from barred(iter([f"{change.path}:"]), width, bar=FIELD_BAR)
        is_text = not any(value.HasField("json") for value in (change.before, change.after))
        before = _lines(change.before, is_text=is_text) if change.HasField("before") else []
        after = _lines(change.after, is_text=is_text) if change.HasField("after") else []
        for sign, line in _compared(before, after):
            bar = FIELD_BAR if sign == _LEFT_OUT else sign + TEXT_BAR
            yield from barred(iter([line]), width, bar=bar)


def _compared(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Each line with its sign; one that says how many are left out, with the sign `_LEFT_OUT`."""
    told = 0
    for group in difflib.SequenceMatcher(None, before, after).get_grouped_opcodes():
        yield from _left_out(group[0][1] - told)
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                yield from ((" ", line) for line in before[start:end])
            else:
                yield from (("-", line) for line in before[start:end])
                yield from (("+", line) for line in after[new_start:new_end])
        told = group[-1][2]
    if told:
        yield from _left_out(len(before) - told)


def _left_out(lines: int) -> Iterator[tuple[str, str]]:
    if lines:
        yield _LEFT_OUT, f"... {lines} line{'' if lines == 1 else 's'} as before"


def _lines(value: holds_pb2.Value, *, is_text: bool) -> list[str]:
    """A value as lines: a text by its own, unless it could be taken for what is no text beside it."""
    if value.HasField("text"):
        return value.text.split("\n") if is_text else list(outline(value.text))
    document = parse(value.json.encode())
    return [value.json] if document is None and value.json != "null" else list(outline(document))
