"""A request laid out for whoever decides about it: turn by turn, with what was found where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from authz_service.framing.multipart import Form, FormPart
from authz_service.inspection.marks import Mark
from authz_service.inspection.reading import ReadAgain
from authz_service.model_apis.turns import parts_beside
from authz_service.view.exact import Number, exact_json
from authz_service.view.request import Path, RequestView, Role
from authz_service.view.turns import Part, Turn

_WORDS: Final[Mapping[object, str]] = {None: "null", True: "true", False: "false"}


class Row(NamedTuple):
    """One value, or the head of those that follow one level deeper.

    `key` is None for an item of a list, and for the part itself. A value is a `text` or a `literal`: a number
    as it was written, true, false, null, `{}` or `[]`. `marks` are in the text, or in
    the key.
    """

    depth: int
    key: str | None
    text: str | None = None
    literal: str = ""
    marks: Sequence[Mark] = ()


class LaidPart(NamedTuple):
    """A part and its values, in order."""

    part: Part
    rows: Sequence[Row]


class LaidTurn(NamedTuple):
    """A turn and its parts. `is_new`: it belongs to the new turn, as rules read it."""

    turn: Turn
    is_new: bool
    parts: Sequence[LaidPart]


class Conversation(NamedTuple):
    """All of a request: its turns, and what it has beside them. Every value is in one of the rows."""

    turns: Sequence[LaidTurn]
    rest: Sequence[LaidPart]


def laid_out(read: ReadAgain, body: bytes, marks: Iterable[Mark]) -> Conversation:
    """A request that was read from `body`, laid out; a form as an object of its fields."""
    document = _fields(read.document) if isinstance(read.document, Form) else exact_json(body)
    found = _by_place(marks)
    said = read.api.turn_places(read.operation)
    turns = tuple(said.turns(document))
    beside = parts_beside(document, frozenset(str(turn.path[0]) for turn in turns))
    return Conversation(
        [
            LaidTurn(turn, _is_new(turn, read.view), [_laid(p, document, found) for p in turn.parts])
            for turn in turns
        ],
        [_laid(part, document, found) for part in beside],
    )


def _fields(form: Form) -> dict[str, object]:
    """Its fields by name, a list of those with a name that ends with `[]`.

    Of a file what stands for it: its name, the type that it is sent as, and the size and digest of its bytes.
    """
    fields: dict[str, object] = {}
    for part in form.parts:
        value = part.text if part.filename is None else _file(part)
        several = fields.setdefault(part.name, []) if part.name.endswith("[]") else None
        if isinstance(several, list):
            several.append(value)
        else:
            fields[part.name] = value
    return fields


def _file(part: FormPart) -> dict[str, object]:
    return {
        "filename": part.filename,
        "content_type": part.content_type,
        "size": Number(str(len(part.data))),
        "sha256": part.said,
    }


def _is_new(turn: Turn, view: RequestView) -> bool:
    """As `TextField.new_turn` of what stands there."""
    match view.turn, turn.path:
        case (list_, int(begin)), (member, int(index)) if list_ == member:
            return index >= begin
    return turn.speaker is not Role.SYSTEM


class _Place:
    """What was found at a place, and at those below it."""

    __slots__ = ("below", "marks")

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.below: dict[str | int, _Place] = {}

    def at(self, path: Path) -> _Place | None:
        """The place at `path` from here; None where nothing was found."""
        place: _Place | None = self
        for step in path:
            place = place.below.get(step) if place is not None else None
        return place


def _by_place(marks: Iterable[Mark]) -> _Place:
    root = _Place()
    for mark in marks:
        place = root
        for step in mark.path:
            place = place.below.setdefault(step, _Place())
        place.marks.append(mark)
    return root


def _laid(part: Part, document: object, found: _Place) -> LaidPart:
    value: Any = document
    for step in part.path:
        value = value[step]
    rows: list[Row] = []
    _add(rows, value, None, 0, found.at(part.path))
    return LaidPart(part, rows)


def _add(rows: list[Row], value: object, key: str | None, depth: int, place: _Place | None) -> None:
    marks: Sequence[Mark] = place.marks if place is not None else ()
    if isinstance(value, str):
        rows.append(Row(depth, key, value, "", marks))
    elif isinstance(value, dict | list) and value:
        rows.append(Row(depth, key, None, "", marks))
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            name = step if isinstance(step, str) else None
            _add(rows, item, name, depth + 1, None if place is None else place.below.get(step))
    else:
        rows.append(Row(depth, key, None, _literal(value), marks))


def _literal(value: object) -> str:
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, Number):
        return value.token
    return _WORDS[value]
