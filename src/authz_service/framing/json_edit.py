"""Replaces single strings of a JSON document in place: every other byte stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

Path = tuple[str | int, ...]

_SPACE = r"[ \t\n\r]*+"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# Longer strings and containers are skipped faster otherwise.
_SHORT = r'"[^"\\]{0,32}+"|[^ \t\n\r"{}\[\],:]++'
_BEGIN = rf"{_SPACE},?+{_SPACE}"
_ITEM = re.compile(rf"{_BEGIN}({_SHORT})?+")
_MEMBER = re.compile(rf"{_BEGIN}({_STRING}){_SPACE}:{_SPACE}({_SHORT})?+")
_MEMBERS_END = re.compile(rf"{_SPACE}}}")

_scan = json.JSONDecoder().raw_decode
_ascii = json.JSONEncoder().encode
_PIECE = 64 * 1024


def edit_json(data: bytes, edits: Mapping[Path, str | None], keys: Mapping[Path, str] | None = None) -> bytes:
    """`data` with the string or number at each path of `edits` replaced by a string, or any value by null.

    `keys` renames the object key that ends a path; paths are those of the document before. `data`
    has been read by `read_json`. Raises LookupError when a path is not there and TypeError when a
    string would replace something else: an edit that does not happen would let its secret through.
    """
    keys = keys or {}
    editor = _Editor(data.decode(), len(edits) + len(keys))
    editor.walk(_tree(edits, keys))
    return editor.result().encode()


def find_value(data: bytes, path: Path) -> tuple[int, int]:
    """Where the value at `path` begins and ends in `data`, in bytes; as `edit_json` in all else."""
    text = data.decode()
    editor = _Editor(text, 1)
    editor.walk(_tree({path: None}, {}))
    start, end = editor.edited
    return len(text[:start].encode()), len(text[:end].encode())


def replace_string(data: bytes, at: slice, value: str) -> bytes:
    """`data` with the string whose token stands `at` those bytes replaced."""
    return data[: at.start] + _string(value, like=data[at].decode()).encode() + data[at.stop :]


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
        below = node.below.get(step)
        if below is None:
            below = node.below[step] = _Node()
        node = below
    return node


class _Editor:
    """Walks the containers that the edits lead through, skips all others, and stops after the last edit.

    A value is given by where it begins and where it ends, if it is short; otherwise that is -1.
    """

    def __init__(self, text: str, left: int) -> None:
        self.edited = (0, 0)
        """Where the last token stands that was replaced."""
        self._text = text
        self._left = left
        self._pieces: list[str] = []
        self._copied = 0

    def walk(self, root: _Node) -> None:
        """Make all edits."""
        if self._left and (document := _ITEM.match(self._text)):
            end = document.end(1)
            self._value(document.start(1) if end >= 0 else document.end(), end, root)

    def result(self) -> str:
        return "".join([*self._pieces, self._text[self._copied :]])

    def _value(self, at: int, end: int, node: _Node) -> int:
        """Edit a value; where it ends, or anywhere when nothing is left to be edited."""
        if node.edit is not None:
            if node.below:
                raise LookupError("an edit stands within a value that another edit replaces")
            return self._replace(at, end, node.edit[0])
        if not node.below:
            return self._skip(at, end)
        match self._text[at]:
            case "{":
                return self._members(at + 1, node)
            case "[":
                return self._items(at + 1, node)
            case _:
                raise LookupError("a path of an edit leads into a value that is no container")

    def _skip(self, at: int, end: int) -> int:
        return end if end >= 0 else _end(self._text, at)

    def _replace(self, at: int, end: int, replacement: str | None) -> int:
        if replacement is not None and self._text[at] not in '"-0123456789':
            raise TypeError("an edit would replace a value that is neither string nor number")
        end = self._skip(at, end)
        self._put(at, end, replacement)
        return end

    def _members(self, at: int, node: _Node) -> int:
        found, text = 0, self._text
        while member := _MEMBER.match(text, at):
            key, end = member[1], member.end(2)
            below = node.below.get(json.loads(key) if "\\" in key else key[1:-1])
            if below is None:
                at = self._skip(member.end(), end)
                continue
            found += 1
            start = member.start(2) if end >= 0 else member.end()
            if below.key is not None:
                self._put(*member.span(1), below.key)
            at = self._value(start, end, below)
            if not self._left:
                return at
        _check_found(found, node)
        closing = _MEMBERS_END.match(self._text, at)
        return closing.end() if closing else at

    def _items(self, at: int, node: _Node) -> int:
        found = index = 0
        while item := _ITEM.match(self._text, at):
            end = item.end(1)
            start = item.start(1) if end >= 0 else item.end()
            if self._text[start] == "]":
                at = start + 1
                break
            below = node.below.get(index)
            at = self._skip(start, end) if below is None else self._value(start, end, below)
            if not self._left:
                return at
            found += below is not None
            index += 1
        _check_found(found, node)
        return at

    def _put(self, at: int, end: int, replacement: str | None) -> None:
        token = "null" if replacement is None else _string(replacement, like=self._text[at:end])
        self._pieces += (self._text[self._copied : at], token)
        self._copied = end
        self.edited = (at, end)
        self._left -= 1


def _string(value: str, *, like: str) -> str:
    """`value` as a JSON string: escaped to ASCII, unless `like` has other characters itself."""
    if value.isascii() or not like.isascii():
        return orjson.dumps(value).decode()  # ten times as fast
    # In pieces, between which other threads have their turn.
    return "".join(
        ['"', *(_ascii(value[at : at + _PIECE])[1:-1] for at in range(0, len(value), _PIECE)), '"']
    )


def _end(text: str, at: int) -> int:
    """Where the value ends that begins at `at`, of a document that was read."""
    if text[at] == '"':
        end = text.find('"', at + 1)
        if text[end - 1] != "\\":
            return end + 1
    return _scan(text, at)[1]


def _check_found(found: int, node: _Node) -> None:
    if found != len(node.below):
        raise LookupError(f"{len(node.below) - found} path(s) of the edits are not in the document")
