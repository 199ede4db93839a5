"""A request's or an answer's body as people read it: the whole conversation, decoded, nothing left out.

Each line of the caller's begins with a bar: `│` for the text of a message, `├` for the fields of a body;
`┊` for what was found in the line above.
A prompt that imitates our own words, or a field, can be told from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from authz_cli.outline import Json, outline, parse
from authz_cli.safe_text import safe_line, wrapped
from authz_cli.streamed import joined
from authz_cli.turns import Conversation, conversation_in

TEXT_BAR = "  │ "
FIELD_BAR = "  ├ "
FOUND_BAR = "  ┊ ^ "
MAX_ROLE = 20
_TEXT_PARTS = ("text", "input_text", "output_text")
"""Types of a part that is nothing but a text."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entity in a text: its characters from `start` to `end`."""

    start: int
    end: int
    entity: str


def conversation(body: bytes, *, width: int | None = None, is_answer: bool = False) -> Iterator[str]:
    """Lines of a body: chat messages one by one with those of the new turn marked, the rest as an outline;
    what is no JSON as text; an answer that was streamed by its texts alone. `width` (cells) wraps lines.

    That is as much as the bytes alone tell: a hold is laid out by the service, which knows its model API.
    """
    document = parse(body)
    said = None if is_answer else conversation_in(document)
    if isinstance(document, dict) and said is not None:
        yield from _messages(said, width)
        rest: Json = {key: value for key, value in document.items() if key != said.member}
        if rest:
            yield "Everything else in the body"
            yield from barred(outline(rest), width, bar=FIELD_BAR)
    elif document is not None:
        yield "Body (JSON)"
        yield from barred(outline(document), width, bar=FIELD_BAR)
    elif is_answer and (streamed := joined(body)):
        yield "A stream, its texts joined (--json has the events)"
        yield from _streamed(streamed, width)
    elif body:
        yield "Body (not JSON; bytes that are no UTF-8 are shown as \\xNN)"
        lines = iter(body.decode("utf-8", "backslashreplace").split("\n"))
        yield from barred(lines, width, bar=TEXT_BAR)
    else:
        yield "No body"


def found_texts(texts: Sequence[tuple[str, str, Sequence[Found]]], width: int | None) -> Iterator[str]:
    """Of texts by their name, the lines in which something was found, with what that is."""
    for name, text, found in texts:
        yield from barred(iter([f"{name}:" if name else "elsewhere:"]), width, bar=FIELD_BAR)
        yield from _found_lines(text, width, found)


def _streamed(texts: dict[str, str], width: int | None) -> Iterator[str]:
    for place, text in texts.items():
        yield from barred(iter([f"{place}:"]), width, bar=FIELD_BAR)
        yield from barred(iter(text.split("\n")), width, bar=TEXT_BAR)


def _messages(said: Conversation, width: int | None) -> Iterator[str]:
    for index, message in enumerate(said.messages):
        role = message.get("role")
        mark = "  <- new turn" if index >= said.newest else ""
        # A role is the caller's text as well: one that could imitate is shown as a field.
        is_plain = isinstance(role, str) and role.isalpha() and len(role) < MAX_ROLE
        yield f"[{index + 1}] {safe_line(str(role)) if is_plain else 'message'}{mark}"
        yield from _message(message, {"role"} if is_plain else set(), width)


def _message(message: dict[str, Json], shown: set[str], width: int | None) -> Iterator[str]:
    content = message.get("content")
    texts = _texts(content)
    if texts is not None:
        shown = shown | {"content"}
        for text in texts:
            yield from barred(iter(text.split("\n")), width, bar=TEXT_BAR)
    rest: Json = {key: value for key, value in message.items() if key not in shown}
    if rest:
        yield from barred(outline(rest), width, bar=FIELD_BAR)


def _found_lines(text: str, width: int | None, found: Sequence[Found]) -> Iterator[str]:
    begin = 0
    for line in text.split("\n"):
        end = begin + len(line)
        here = [f"{f.entity}: {text[f.start : f.end]}" for f in found if begin <= f.start <= end]
        if here:
            yield from barred(iter([line]), width, bar=TEXT_BAR)
        yield from barred(iter(here), width, bar=FOUND_BAR)
        begin = end + 1


def _texts(content: Json) -> list[str] | None:
    """The texts of a content, when it is made of nothing but text."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list) or not content:
        return None
    texts = [_part_text(part) for part in content]
    return [text for text in texts if text is not None] if None not in texts else None


def _part_text(part: Json) -> str | None:
    if isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] in _TEXT_PARTS:
        text = part["text"]
        return text if isinstance(text, str) else None
    return None


def barred(lines: Iterator[str], width: int | None, *, bar: str) -> Iterator[str]:
    """Other people's lines, safe to print, each behind a bar."""
    for line in lines:
        safe = safe_line(line)
        pieces = wrapped(safe, max(width - len(bar) - 1, 20)) if width else [safe]
        yield from (bar + piece for piece in pieces)
