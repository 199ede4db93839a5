"""A request that a reviewer has edited: read, masked and compared with what it was."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import orjson

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.json_document import read_json
from authz_service.framing.json_splice import splice_json
from authz_service.inspection.results import RequestInspection
from authz_service.view.request import Path, RequestView

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
    `edit_unsupported` for a form, `edit_changes_call` where model, stream or choices are others than the
    caller waits for, `edit_masked` where a placeholder of an entity type in `entities` is gone, altered or
    new, `edit_unstable` where masks find something to mask again and again, `nothing_edited`.
    """
    old = inspect(before)
    if old.operation.takes is not RequestFormat.JSON:
        raise Unreadable("only requests in JSON can be edited; reject this one", code="edit_unsupported")
    read_json(after, max_depth=499)
    spliced = splice_json(before, after)
    written = inspect(spliced).view
    _check_call(old.view, written)
    require_placeholders(_texts(old.view), _texts(written), entities)
    new = _settled(spliced, inspect)
    if new.forward == before:
        raise Unreadable("nothing was edited", code="nothing_edited")
    return new


def differences(before: bytes, after: bytes) -> bytes:
    """What an edit changed, as JSON: the place of each value with what it was and is; for the record."""
    found = [
        {"path": list(path), "before": old, "after": new}
        for path, old, new in _differing((), orjson.loads(before), orjson.loads(after))
    ]
    return orjson.dumps(found)


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


_NOTHING = None


def _differing(path: Path, before: object, after: object) -> Iterator[tuple[Path, object, object]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _differing((*path, key), before.get(key, _NOTHING), after.get(key, _NOTHING))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else _NOTHING
            new = after[index] if index < len(after) else _NOTHING
            yield from _differing((*path, index), old, new)
    elif before != after or type(before) is not type(after):
        yield path, before, after
