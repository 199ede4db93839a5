"""A request as an editor shows it: its texts between lines that say where each stands, or as JSON."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from authz_cli.exits import Exit, Failure
from authz_cli.outline import Json, Number

TEXT_KEYS = frozenset(
    {
        "content",
        "text",
        "input",
        "inputs",
        "prompt",
        "system",
        "instructions",
        "suffix",
        "output",
        "arguments",
    }
)
"""What the texts of a conversation are called, in all APIs: edited where nothing says which they are."""

Place = tuple[str | int, ...]


class Conversation:
    """The texts of a body. The lines between them have a word in them that nobody could have foreseen."""

    def __init__(self, body: Json, *, texts: Iterable[tuple[Place, str]] | None = None) -> None:
        """`texts` are those of `body` that are to be edited; by default whatever is called as texts are."""
        self._body = body
        self._mark = secrets.token_hex(4)
        self._texts = list(_texts(body, ()) if texts is None else texts)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to edit in this form."""
        return not self._texts

    def text(self) -> str:
        """What the editor gets."""
        pieces = [f"Edit the texts below; leave the lines with {self._mark} in them as they are.\n"]
        pieces += (f"{self._line(place)}\n{text}\n" for place, text in self._texts)
        return "".join([*pieces, f"=== {self._mark} end ===\n"])

    def read(self, edited: str) -> Json:
        """The body with the texts as they are now; raises `Failure` where a line between them is gone."""
        body = _copy(self._body)
        rest = edited
        lines = [*(self._line(place) for place, _ in self._texts), f"=== {self._mark} end ==="]
        if edited.count(self._mark) != len(lines) + 1:  # once in the first line
            raise Failure(f"a line with {self._mark} is gone, or there twice; nothing was sent", Exit.USAGE)
        _, rest = self._split(rest, lines[0])
        for (place, before), following in zip(self._texts, lines[1:], strict=True):
            text, rest = self._split(rest, following)
            # An editor's way of ending lines is no edit.
            if text.removesuffix("\n") != f"{before}\n".replace("\r\n", "\n").removesuffix("\n"):
                _put(body, place, text.removesuffix("\n"))
        return body

    def _split(self, text: str, line: str) -> tuple[str, str]:
        before, found, after = text.partition(line + "\n")
        if not found:
            raise Failure(f"the line {line!r} is not there any more; nothing was sent", Exit.USAGE)
        return before, after

    def _line(self, place: Place) -> str:
        return f"=== {self._mark} {'/'.join(map(str, place))} ==="


def json_text(value: Any, *, indent: str | None = None, is_ascii: bool = False, depth: int = 0) -> str:
    """A document as JSON, numbers as they were written; with `indent` a line for each member.

    As `json.dumps` writes it otherwise: with `is_ascii` whatever a terminal could obey is an escape.
    """
    below = partial(json_text, indent=indent, is_ascii=is_ascii, depth=depth + 1)
    match value:
        case Number():
            return str(value)
        case dict() if value:
            members = (
                f"{json.dumps(key, ensure_ascii=is_ascii)}: {below(item)}" for key, item in value.items()
            )
            return "{" + _joined(members, indent, depth) + "}"
        case list() if value:
            items = map(below, value)
            return "[" + _joined(items, indent, depth) + "]"
        case _:
            return json.dumps(value, ensure_ascii=is_ascii)


def _joined(pieces: Iterator[str], indent: str | None, depth: int) -> str:
    if indent is None:
        return ", ".join(pieces)
    begin = "\n" + indent * (depth + 1)
    return begin + f",{begin}".join(pieces) + "\n" + indent * depth


def _texts(value: Json, place: Place) -> Iterator[tuple[Place, str]]:
    names = [step for step in place if isinstance(step, str)]
    match value:
        case Number():
            return
        case str():
            if names and names[-1] in TEXT_KEYS:
                yield place, value
        case dict():
            for key, item in value.items():
                yield from _texts(item, (*place, key))
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, (*place, index))
        case _:
            return


def _copy(value: Json) -> Json:
    match value:
        case dict():
            return {key: _copy(item) for key, item in value.items()}
        case list():
            return [_copy(item) for item in value]
        case _:
            return value


def _put(body: Json, place: Place, text: str) -> None:
    for step in place[:-1]:
        body = body[step]  # type: ignore[index]  # a place leads through containers
    body[place[-1]] = text  # type: ignore[index]  # the same
