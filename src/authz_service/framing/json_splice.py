"""Puts what an editor changed into the document that was edited: what is untouched stays byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_TOKEN = re.compile(r"[^ \t\n\r,\]}]+")


def splice_json(before: bytes, after: bytes) -> bytes:
    """The document of `after`, in the bytes of `before` wherever the two say the same.

    Both have been read by `read_json`. How `after` is laid out counts only for what is new in it; of an
    object the order of members is that of `after`.
    """
    old, new = _Reader(before.decode()).document(), _Reader(after.decode()).document()
    head, tail = before.decode()[: old.start], before.decode()[old.end :]
    return (head + _spliced(old, new) + tail).encode()


@dataclass(frozen=True, slots=True)
class _Node:
    """A value and where it stands. `same` is equal for values that say the same, and for no others."""

    text: str = field(repr=False)
    start: int
    end: int
    same: object
    members: Mapping[str, _Node] | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    items: Sequence[_Node] | None = None

    @property
    def token(self) -> str:
        return self.text[self.start : self.end]


def _spliced(old: _Node, new: _Node) -> str:
    if old.same == new.same:
        return old.token
    if old.members is not None and new.members is not None:
        return _object(old, old.members, new, new.members)
    if old.items is not None and new.items is not None:
        return _array(old, old.items, new.items)
    return _compact(new)


def _object(old: _Node, olds: Mapping[str, _Node], new: _Node, news: Mapping[str, _Node]) -> str:
    if list(olds) == list(news):
        return _between(old, list(olds.values()), list(news.values()))
    members = (
        f"{old.keys.get(key, new.keys[key])}:{_spliced(olds[key], value) if key in olds else _compact(value)}"
        for key, value in news.items()
    )
    return "{" + ",".join(members) + "}"


def _array(old: _Node, olds: Sequence[_Node], news: Sequence[_Node]) -> str:
    if len(olds) == len(news):
        return _between(old, olds, news)
    begin = _common(olds, news)
    end = _common(olds[begin:][::-1], news[begin:][::-1])
    middle = [_compact(item) for item in news[begin : len(news) - end]]
    tokens = [*(o.token for o in olds[:begin]), *middle, *(o.token for o in olds[len(olds) - end :])]
    return "[" + ",".join(tokens) + "]"


def _common(olds: Sequence[_Node], news: Sequence[_Node]) -> int:
    """How many are the same from the beginning on."""
    count = 0
    while count < min(len(olds), len(news)) and olds[count].same == news[count].same:
        count += 1
    return count


def _between(old: _Node, olds: Sequence[_Node], news: Sequence[_Node]) -> str:
    """The text of `old` with its values replaced, and what is between them as it was."""
    pieces, at = [], old.start
    for before, after in zip(olds, news, strict=True):
        pieces += [old.text[at : before.start], _spliced(before, after)]
        at = before.end
    return "".join([*pieces, old.text[at : old.end]])


def _compact(node: _Node) -> str:
    if node.members is not None:
        return "{" + ",".join(f"{node.keys[k]}:{_compact(v)}" for k, v in node.members.items()) + "}"
    if node.items is not None:
        return "[" + ",".join(map(_compact, node.items)) + "]"
    return node.token


class _Reader:
    """Reads a document that is known to be one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> _Node:
        self._skip()
        return self._value()

    def _value(self) -> _Node:
        start = self._at
        match self._text[start]:
            case "{":
                return self._members(start)
            case "[":
                return self._items(start)
            case '"':
                token = self._take(_STRING)
                return _Node(self._text, start, self._at, ("string", json.loads(token)))
            case _:
                token = self._take(_TOKEN)
                return _Node(self._text, start, self._at, ("token", token))

    def _members(self, start: int) -> _Node:
        members: dict[str, _Node] = {}
        keys: dict[str, str] = {}
        while self._next("}"):
            token = self._take(_STRING)
            key = json.loads(token)
            self._skip()
            self._at += 1  # the colon
            self._skip()
            keys[key] = token
            members[key] = self._value()
        same = ("object", tuple((key, node.same) for key, node in members.items()))
        return _Node(self._text, start, self._at, same, members=members, keys=keys)

    def _items(self, start: int) -> _Node:
        items: list[_Node] = []
        while self._next("]"):
            items.append(self._value())
        return _Node(self._text, start, self._at, ("array", tuple(i.same for i in items)), items=items)

    def _next(self, closing: str) -> bool:
        """Go to the next item of a container, or behind its end."""
        self._at += 1 if self._text[self._at] in "{[," else 0
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip()
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError("a document that was read is no JSON")
        self._at = match.end()
        return match.group()

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
