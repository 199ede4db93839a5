"""Replaces single strings of a JSON document in place: every other byte stays as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_SCAN = json.JSONDecoder().raw_decode
_SPACE = " \t\n\r"


def edit_json(data: bytes, edits: Mapping[Path, str | None], keys: Mapping[Path, str] | None = None) -> bytes:
    """`data` with the string or number at each path of `edits` replaced by a string, or any value by null.

    `keys` renames the object key that ends a path; paths are those of the document before. `data`
    has been read by `read_json`. Raises LookupError when a path is not there and TypeError when a
    string would replace something else: an edit that does not happen would let its secret through.
    """
    root = _tree(edits, keys or {})
    editor = _Editor(data.decode())
    editor.value(editor.space(0), root)
    return editor.result().encode()


@dataclass(slots=True)
class _Node:
    """The edits at and below one path. `edit` is a one-item tuple when this very value changes."""

    below: dict[str | int, _Node] = field(default_factory=dict)
    edit: tuple[str | None] | None = None
    key: str | None = None


def _tree(edits: Mapping[Path, str | None], keys: Mapping[Path, str]) -> _Node:
    root = _Node()
    for path, replacement in edits.items():
        _descend(root, path).edit = (replacement,)
    for path, key in keys.items():
        _descend(root, path).key = key
    return root


def _descend(node: _Node, path: Path) -> _Node:
    for step in path:
        node = node.below.setdefault(step, _Node())
    return node


class _Editor:
    """Walks the containers that the edits lead through, and skips all others at the scanner's speed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[str] = []
        self._copied = 0

    def result(self) -> str:
        return "".join([*self._pieces, self._text[self._copied :]])

    def space(self, at: int) -> int:
        while self._text[at] in _SPACE:
            at += 1
        return at

    def value(self, at: int, node: _Node) -> int:
        """Edit the value that begins `at`; where it ends."""
        if node.edit is not None:
            if node.below:
                raise LookupError("an edit stands within a value that another edit replaces")
            return self._replace(at, node.edit[0])
        if not node.below:
            return _SCAN(self._text, at)[1]
        match self._text[at]:
            case "{":
                return self._members(at, node)
            case "[":
                return self._items(at, node)
            case _:
                raise LookupError("a path of an edit leads into a value that is no container")

    def _replace(self, at: int, replacement: str | None) -> int:
        value, end = _SCAN(self._text, at)
        if replacement is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            raise TypeError("an edit would replace a value that is neither string nor number")
        token = "null" if replacement is None else self._string(replacement, like=self._text[at:end])
        self._put(at, end, token)
        return end

    def _members(self, at: int, node: _Node) -> int:
        found = 0
        at = self.space(at + 1)
        while self._text[at] != "}":
            key, end = _SCAN(self._text, at)
            below = node.below.get(key)
            if below is not None and below.key is not None:
                self._put(at, end, self._string(below.key, like=self._text[at:end]))
            at = self.space(self.space(end) + 1)
            found += below is not None
            at = self._next(self.value(at, below or _NOTHING))
        return self._end(at, node, found)

    def _items(self, at: int, node: _Node) -> int:
        found = index = 0
        at = self.space(at + 1)
        while self._text[at] != "]":
            below = node.below.get(index)
            found += below is not None
            at = self._next(self.value(at, below or _NOTHING))
            index += 1
        return self._end(at, node, found)

    def _next(self, at: int) -> int:
        at = self.space(at)
        return self.space(at + 1) if self._text[at] == "," else at

    def _end(self, at: int, node: _Node, found: int) -> int:
        if found != len(node.below):
            raise LookupError(f"{len(node.below) - found} path(s) of the edits are not in the document")
        return at + 1

    def _string(self, value: str, *, like: str) -> str:
        return json.dumps(value, ensure_ascii=like.isascii())

    def _put(self, at: int, end: int, token: str) -> None:
        self._pieces += (self._text[self._copied : at], token)
        self._copied = end


_NOTHING = _Node()
