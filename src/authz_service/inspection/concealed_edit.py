"""Puts what is concealed from an editor back into what they edited; they cannot edit that itself."""

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.inspection.concealed import ConcealedRequest, ConcealedText, at
from authz_service.inspection.edited import require_few
from authz_service.view.exact import exact_json, values_of, write_exact
from authz_service.view.pointer import pointer
from authz_service.view.request import Path

LOOKS_LIKE: Final = re.compile(r"<([A-Z][A-Z0-9_]*)_[1-9][0-9]*>")
"""A placeholder, of whatever type."""
_TYPED: Final = "PLACEHOLDER"
_DEEPEST: Final = 200
"""Levels, as many as `limits.depth` may allow; from 255 on nothing can be written."""
_WORD: Final = re.compile(r"\S+")
_MISSING: Final = object()


def put_back(concealed: ConcealedRequest, before: bytes, edited: bytes) -> bytes:
    """The whole document that `edited` is of the request `before`, which was shown as `concealed`.

    Each placeholder has to be where it was: in its text, in its order, between the words beside it. Raises
    `Unreadable` (`edit_concealed`) for one that is missing, altered, moved, doubled or new, and for a text
    that can't be edited since what is concealed in it may be more than its own characters; and what
    `require_few` and `read_json` raise.
    """
    require_few(edited)
    read_json(edited, max_depth=_DEEPEST)
    shown, true = exact_json(concealed.shown), exact_json(before)
    document = exact_json(edited)
    held: dict[Path, Any] = {}
    for path, text in concealed.texts.items():
        value = _found(document, path)
        if value is _MISSING:
            _refuse(f"{text.hidden[0].name} must stay where it was, at {pointer(path)}")
        held[path] = (
            at(true, path) if value == at(shown, path) else _text_back(text, value, path, concealed.labels)
        )
    for path in concealed.contents:
        if _found(document, path) != at(shown, path):
            _refuse(f"what is not read, at {pointer(path)}, must stay as it is shown")
        held[path] = at(true, path)
    _require_none_new(document, shown, held.keys(), concealed.labels)
    for path, value in held.items():
        document = _with(document, path, value)
    return write_exact(document)


def put_text_back(text: ConcealedText, edited: str, place: str, labels: frozenset[str]) -> str:
    """One text with what is hidden in it, where `edited` leaves each placeholder and the words beside it.

    Raises as `put_back`.
    """
    if text.is_fixed:
        _refuse(
            f"what is concealed at {place} stands in a document, is a number, goes on elsewhere, or stands "
            "beside another: leave it"
        )
    pieces = _split(edited, text, place)
    for piece in pieces:
        require_none(piece, labels, place)
    for index, (old, new) in enumerate(zip(text.between, pieces, strict=True)):
        beside = text.hidden[max(index - 1, 0)].name
        is_kept = _keeps_words(old, new, begins=index == 0, ends=index == len(pieces) - 1)
        if not is_kept:
            _refuse(f"the words beside {beside}, at {place}, must stay as they are")
    values = [value for _, value in text.values]
    return pieces[0] + "".join(v + piece for v, piece in zip(values, pieces[1:], strict=True))


def require_none(text: str, labels: frozenset[str], place: str) -> None:
    """Raises `Unreadable` (`edit_concealed`) for what looks like a placeholder of one of these types."""
    for match in LOOKS_LIKE.finditer(text):
        if match[1] in labels | {_TYPED}:
            _refuse(f"{match[0]} stands for what is concealed from you, and has no place at {place}")


def beside_concealed() -> Unreadable:
    """That what is read joined with something concealed was edited."""
    message = (
        "a message that has something concealed from you in one of its parts stays as it is in all others"
    )
    return Unreadable(message, code="edit_concealed")


def _text_back(text: ConcealedText, value: object, path: Path, labels: frozenset[str]) -> str:
    if not isinstance(value, str):
        _refuse(f"{text.hidden[0].name} must stay where it was, at {pointer(path)}")
    return put_text_back(text, value, pointer(path), labels)


def _split(edited: str, text: ConcealedText, place: str) -> list[str]:
    """What stands before, between and after the placeholders, which are there in their order."""
    expected = [hidden.shown for hidden in text.hidden]
    known = set(expected)
    found = [match for match in LOOKS_LIKE.finditer(edited) if match[0] in known]
    for index, name in enumerate(expected):
        if index >= len(found) or found[index][0] != name:
            _refuse(f"{name} must stay where it was, at {place}")
    if len(found) > len(expected):
        _refuse(f"{found[len(expected)][0]} stands once too often at {place}")
    starts = [*(match.start() for match in found), len(edited)]
    ends = [0, *(match.end() for match in found)]
    return [edited[end:start] for end, start in zip(ends, starts, strict=True)]


def _keeps_words(old: str, new: str, *, begins: bool, ends: bool) -> bool:
    """Whether the nearest words beside placeholders, up to one with a letter, are as they were.

    What is written beside a value could make a detector take it for something else, or not see it.
    """
    if old == new:
        return True
    first, last = ("" if begins else _first_words(old)), ("" if ends else _last_words(old))
    if first is None or last is None or len(first) + len(last) > min(len(old), len(new)):
        return False
    rest = new[len(first) : len(new) - len(last)]
    if not (new.startswith(first) and new.endswith(last)):
        return False
    if not rest:
        return not (first and last)
    return (not first or rest[0].isspace()) and (not last or rest[-1].isspace())


def _first_words(text: str) -> str | None:
    """From the beginning to the end of the first word with a letter; None where there is none."""
    for word in _WORD.finditer(text):
        if any(map(str.isalpha, word[0])):
            return text[: word.end()]
    return None


def _last_words(text: str) -> str | None:
    """From the beginning of the last word with a letter to the end."""
    for word in reversed(list(_WORD.finditer(text))):
        if any(map(str.isalpha, word[0])):
            return text[word.start() :]
    return None


def _found(document: Any, path: Path) -> Any:
    """The value at a path; `_MISSING` where there is none."""
    for step in path:
        keys: Any = document if isinstance(document, dict) else ()
        if isinstance(document, list):
            keys = range(len(document))
        if step not in keys:
            return _MISSING
        document = document[step]
    return document


def _require_none_new(document: Any, shown: Any, places: Any, labels: frozenset[str]) -> None:
    """Nothing that looks like a placeholder stands anywhere but at `places`; names of fields have none."""
    for path, value in values_of(document, but=places):
        if isinstance(value, str) and value != _found(shown, path):
            require_none(value, labels, pointer(path))
        elif isinstance(value, dict):
            for key in value:
                require_none(key, labels, pointer(path))


def _with(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    at(document, path[:-1])[path[-1]] = value
    return document


def _refuse(why: str) -> NoReturn:
    raise Unreadable(f"{why}; edit what is shown, and leave what is concealed", code="edit_concealed")
