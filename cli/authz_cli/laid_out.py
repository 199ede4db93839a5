"""A request as the service has laid it out: turn by turn, then all else, with what was found in each line.

Each line of the caller's begins with a bar, as those of `conversation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from authz_api.v1 import holds_pb2
from authz_cli.conversation import FIELD_BAR, FOUND_BAR, TEXT_BAR, barred
from authz_cli.form import parse_form
from authz_cli.outline import INDENT, Json, Number, key_text, parse, scalar_text
from authz_cli.safe_text import safe_line

MAX_ROLE = 32

_SPEAKERS = {
    holds_pb2.SPEAKER_SYSTEM: "system",
    holds_pb2.SPEAKER_USER: "user",
    holds_pb2.SPEAKER_ASSISTANT: "assistant",
    holds_pb2.SPEAKER_TOOL: "tool",
}
_SAID = frozenset(
    (
        holds_pb2.PART_KIND_TEXT,
        holds_pb2.PART_KIND_REASONING,
        holds_pb2.PART_KIND_REFUSAL,
        holds_pb2.PART_KIND_TOOL_RESULT,
    )
)
"""Kinds of parts that are somebody's words where they are a text alone."""
_UNTOLD = frozenset(("role", "type"))
"""Members that may be told by what a turn or a part is called."""


def laid_out(said: holds_pb2.Conversation, width: int | None) -> Iterator[str]:
    """Lines of a conversation; `width` (cells) wraps them."""
    was_any_approved = any(turn.was_approved for turn in said.turns)
    for number, turn in enumerate(said.turns, 1):
        role, is_plain = _role(turn)
        yield f"[{number}] {role}{_place(turn)}{_mark(turn, was_any_approved)}"
        if not is_plain:
            yield from barred(iter([f"role: {scalar_text(turn.role)}"]), width, bar=FIELD_BAR)
        for part in turn.parts:
            yield from _part(part, turn.path, width)
    if said.rest:
        yield "Everything else in the body"
        for part in said.rest:
            yield from _part(part, "", width)


def is_of(said: holds_pb2.Conversation, body: bytes) -> bool:
    """Whether a conversation has each name, text and number of a body, and no others.

    Not where that is neither JSON nor a form. A text under `role` or `type` may be told by the kind of its
    turn or part instead.
    """
    parts = [*(part for turn in said.turns for part in turn.parts), *said.rest]
    texts = Counter(row.text for part in parts for row in part.rows if row.HasField("text"))
    names = {row.key for part in parts for row in part.rows if row.HasField("key")}
    places = [*(turn.path for turn in said.turns), *(part.path for part in parts)]
    names |= {step for place in places for step in _steps(place)} | _UNTOLD
    all_texts: Counter[str] = Counter()
    told_elsewhere: Counter[str] = Counter()
    literals: Counter[str] = Counter()
    document = parse_form(body) if body.startswith(b"--") else parse(body)
    if document is None:
        return False
    for name, value in _values(document):
        if isinstance(value, Number):
            literals[value] += 1
        elif isinstance(value, str):
            (told_elsewhere if name in _UNTOLD else all_texts)[value] += 1
        elif value is None and name not in names:
            return False
    if literals != Counter(row.literal for part in parts for row in part.rows if row.HasField("literal")):
        return False
    return all_texts <= texts <= all_texts + told_elsewhere


def _values(value: Json, name: str = "") -> Iterator[tuple[str, str | None]]:
    """Each text of a document with the member that it stands under, and each name with None.

    What is no text is a `Number` as it is written, be it `true` or `{}`.
    """
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield key, None
            yield from _values(item, key)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _values(item, name)
    elif isinstance(value, str):
        yield name, value
    else:
        yield name, Number(scalar_text(value))


def _role(turn: holds_pb2.Turn) -> tuple[str, bool]:
    """What a turn is headed with, and whether that is all there is to its role.

    A role is the caller's text as well: one that could imitate is shown as a field.
    """
    if not turn.role:
        return _SPEAKERS.get(turn.speaker, "message"), True
    if turn.role.replace("_", "").isalpha() and len(turn.role) <= MAX_ROLE:
        return safe_line(turn.role), True
    return "message", False


def _place(turn: holds_pb2.Turn) -> str:
    """Where a turn without a role stands: its member is the API's word."""
    return "" if turn.role else f" ({safe_line(turn.path[1:])})"


def _mark(turn: holds_pb2.Turn, was_any_approved: bool) -> str:
    if turn.was_approved:
        return "  (approved before)"
    if turn.is_new:
        return "  <- new turn"
    return "  <- new since then" if was_any_approved else ""


def _part(part: holds_pb2.Part, around: str, width: int | None) -> Iterator[str]:
    label = _label(part, around)
    is_said = part.kind in _SAID and len(part.rows) == 1 and part.rows[0].HasField("text")
    if is_said and not any(found.is_key for found in part.rows[0].found):
        if part.kind != holds_pb2.PART_KIND_TEXT:
            yield from barred(iter([f"{label}:"]), width, bar=FIELD_BAR)
        yield from _lines(part.rows[0].text, part.rows[0].found, width, bar=TEXT_BAR)
        return
    # All of a turn that is one part: its members follow the head of the turn.
    is_headed = not label and len(part.rows) > 1
    own_name = (_steps(part.path) or [""])[-1]
    for row in part.rows[1:] if is_headed else part.rows:
        head = "" if row.depth else f"{label}:" if label else "="
        yield from _row(row, head, row.key if row.depth else own_name, width, less=int(is_headed))


def _label(part: holds_pb2.Part, around: str) -> str:
    """A part's place below its turn: words of the API's and positions, or a name of the caller's."""
    *steps, last = _steps(part.path.removeprefix(around)) or [""]
    if not steps and not last:
        return ""
    return "/".join(
        step if step.isascii() and step.isdecimal() else key_text(step) for step in [*steps, last]
    )


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _row(row: holds_pb2.Row, label: str, own_name: str, width: int | None, *, less: int) -> Iterator[str]:
    """The lines of a value named `own_name`, `less` levels further left than it stands in its part."""
    indent = INDENT * (row.depth - less)
    name = indent + (label or (f"{key_text(row.key)}:" if row.HasField("key") else "-"))
    in_name = [f"{found.entity}: {own_name}" for found in row.found if found.is_key]
    found = [found for found in row.found if not found.is_key]
    if "\n" in row.text:
        yield from barred(iter([name]), width, bar=FIELD_BAR)
        yield from barred(iter(in_name), width, bar=FOUND_BAR)
        yield from _lines(row.text, found, width, bar=FIELD_BAR, before=f"{indent}{INDENT}| ")
        return
    value = scalar_text(row.text) if row.HasField("text") else row.literal
    yield from barred(iter([f"{name} {value}" if value else name]), width, bar=FIELD_BAR)
    said = row.text if row.HasField("text") else row.literal
    here = [f"{each.entity}: {said[each.start : each.end]}" for each in found]
    yield from barred(iter([*in_name, *here]), width, bar=FOUND_BAR)


def _lines(
    text: str, found: Sequence[holds_pb2.Found], width: int | None, *, bar: str, before: str = ""
) -> Iterator[str]:
    """The lines of a text, below each what is found to begin in it."""
    left = sorted(found, key=lambda each: each.start, reverse=True)
    begin = 0
    for line in text.split("\n"):
        end = begin + len(line)
        yield from barred(iter([before + line]), width, bar=bar)
        while left and left[-1].start <= end:
            each = left.pop()
            yield from barred(iter([f"{each.entity}: {text[each.start : each.end]}"]), width, bar=FOUND_BAR)
        begin = end + 1
