"""A request that a reviewer has edited: read, masked and compared with what it was."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.json_document import read_json
from authz_service.framing.json_splice import splice_json
from authz_service.framing.json_values import count_values
from authz_service.inspection.results import RequestInspection
from authz_service.view.exact import exact_json, write_exact
from authz_service.view.request import Path, RequestView

MOST_VALUES: Final = 100_000
"""Of a request that is edited, as of one that is laid out: each is compared."""
MOST_CHANGES: Final = 1000
"""Told one by one. Where a list or an object has more it is told whole: what is told of an edit stays within
what was and is, however the values are cut."""
MOST_IN_PATHS: Final = 64 * 1024
"""Characters of the places together, for the same reason."""
MOST_ROUNDS = 3
"""Masking of what is masked: it must come to an end, or the rules could never be asked about it again."""

_TYPED = "PLACEHOLDER"
"""What stands for something that looked like a placeholder."""
_PLACEHOLDER = re.compile(r"\[([A-Z][A-Z0-9_]*)(?::[A-Za-z0-9]+)?\]|<([A-Z][A-Z0-9_]*)_[0-9]+>")


def edited_request(
    before: bytes, after: bytes, inspect: Callable[[bytes], RequestInspection], entities: frozenset[str]
) -> RequestInspection:
    """`before` with what `after` changes, as it would go to the model; what is untouched keeps its bytes.

    `inspect` reads a body as requests are read. Raises `Unreadable`: for what that does, and with
    `edit_unsupported` for a form, `edit_too_large` for more than `MOST_VALUES`, `edit_changes_call` where
    model, stream or choices are others than the caller waits for, `edit_masked` where a placeholder of an
    entity type in `entities` is gone, altered or new, `edit_unstable` where masks find something to mask
    again and again, `nothing_edited`.
    """
    old = inspect(before)
    if old.operation.takes is not RequestFormat.JSON:
        raise Unreadable("only requests in JSON can be edited; reject this one", code="edit_unsupported")
    require_few(before)
    require_few(after)
    read_json(after, max_depth=499)
    spliced = splice_json(before, after)
    written = inspect(spliced).view
    _check_call(old.view, written)
    require_placeholders(_texts(old.view), _texts(written), entities)
    new = _settled(spliced, inspect)
    if new.forward == before:
        raise Unreadable("nothing was edited", code="nothing_edited")
    return new


def require_few(body: bytes) -> None:
    """Raises `Unreadable` (`edit_too_large`) for `MOST_VALUES` or more."""
    if count_values(body, MOST_VALUES) == MOST_VALUES:
        message = f"what has {MOST_VALUES:,} values or more, lists of numbers among them, can't be edited"
        raise Unreadable(f"{message}; approve or reject it as it is", code="edit_too_large")


def differences(before: bytes, after: bytes) -> bytes:
    """What an edit changed, as JSON: the place of each value with what it was and is; for the record.

    Where there was nothing, or is nothing, `before` or `after` is missing. Numbers are told as they are
    written. Of lists of different lengths what they begin and end with alike is left out. Told whole is an
    object whose members stand in another order, and what has more than `MOST_CHANGES` changes.
    """
    old, new = exact_json(before), exact_json(after)
    found = _differing((), old, new)
    if sum(len(step) for path, _ in found for step in path if isinstance(step, str)) > MOST_IN_PATHS:
        found = [_whole((), old, new)]
    return write_exact([{"path": list(path)} | said for path, said in found])


def _settled(body: bytes, inspect: Callable[[bytes], RequestInspection]) -> RequestInspection:
    for _ in range(MOST_ROUNDS):
        inspection = inspect(body)
        if inspection.forward == body:
            return inspection
        body = inspection.forward
    raise Unreadable("the edited request has something to mask in its placeholders", code="edit_unstable")


def _check_call(old: RequestView, new: RequestView) -> None:
    if (old.model, old.stream, old.choices) != (new.model, new.stream, new.choices):
        message = "an edit can't change the model, whether the answer is streamed, or how many there are"
        raise Unreadable(message, code="edit_changes_call")


def require_placeholders(before: Iterable[str], after: Iterable[str], entities: frozenset[str]) -> None:
    """Raises `Unreadable` (`edit_masked`) unless both have the same placeholders of `entities`."""
    if _placeholders(before, entities) != _placeholders(after, entities):
        message = "what is masked can't be edited: each placeholder, such as [EMAIL_ADDRESS], must stay"
        raise Unreadable(message, code="edit_masked")


def _texts(view: RequestView) -> Iterator[str]:
    return (text.text for text in view.texts)


def _placeholders(texts: Iterable[str], entities: frozenset[str]) -> Counter[str]:
    found = (match for text in texts for match in _PLACEHOLDER.finditer(text))
    return Counter(match[0] for match in found if _label(match) in entities | {_TYPED})


def _label(match: re.Match[str]) -> str:
    return match[1] or match[2]


_NOTHING = object()
_Told = tuple[Path, dict[str, object]]


def _differing(path: Path, before: object, after: object) -> list[_Told]:
    found = list(islice(_one_by_one(path, before, after), MOST_CHANGES + 1))
    return found if len(found) <= MOST_CHANGES else [_whole(path, before, after)]


def _one_by_one(path: Path, before: object, after: object) -> Iterator[_Told]:
    if isinstance(before, dict) and isinstance(after, dict) and _is_in_order(before, after):
        for key in dict.fromkeys([*before, *after]):
            yield from _differing((*path, key), before.get(key, _NOTHING), after.get(key, _NOTHING))
    elif isinstance(before, list) and isinstance(after, list):
        begin, end = (0, 0) if len(before) == len(after) else _alike(before, after)
        for index in range(begin, max(len(before), len(after)) - end):
            old = before[index] if index < len(before) - end else _NOTHING
            new = after[index] if index < len(after) - end else _NOTHING
            yield from _differing((*path, index), old, new)
    elif not _is_same(before, after):
        yield _whole(path, before, after)


def _whole(path: Path, before: object, after: object) -> _Told:
    said = {"before": before, "after": after}
    return path, {name: value for name, value in said.items() if value is not _NOTHING}


def _alike(before: list[object], after: list[object]) -> tuple[int, int]:
    """How many items they begin with alike, and how many of the others they end with."""
    shorter = min(len(before), len(after))
    begin = next((at for at in range(shorter) if not _is_same(before[at], after[at])), shorter)
    rest = shorter - begin
    return begin, next((at for at in range(rest) if not _is_same(before[-1 - at], after[-1 - at])), rest)


def _is_same(before: object, after: object) -> bool:
    """Whether both say the same, members in the same order."""
    if isinstance(before, dict) and isinstance(after, dict):
        return list(before) == list(after) and all(map(_is_same, before.values(), after.values()))
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_is_same, before, after))
    return before == after


def _is_in_order(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether the members that both have stand in the same order."""
    return [key for key in before if key in after] == [key for key in after if key in before]
