"""Documents with a sensitive value in every place that they have, and in every one that they could have."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

CARD, MAIL = 4111111111111111, "canary@example.com"
MARKS = (str(CARD).encode(), b"canary@example")
_TOKENS = [{"token": "x", "logprob": -1, "top_logprobs": [{"token": "x", "logprob": -1, "bytes": [MAIL]}]}]

_VALUES: tuple[Any, ...] = (
    MAIL,
    [MAIL],
    {"type": "text", "text": MAIL},
    CARD,
    [CARD],
    {"index": CARD},
    _TOKENS,
)
_MEMBERS: tuple[tuple[str, Any], ...] = (
    *(("new", MAIL), ("new", {"a": [CARD]}), (MAIL, 1), (str(CARD), None), ("index", CARD), ("id", MAIL)),
    *(
        ("text", MAIL),
        ("content", [{"text": MAIL}]),
        ("type", MAIL),
        ("finish_reason", MAIL),
        ("created", CARD),
    ),
    *(("error", {"message": MAIL}), ("usage", {"prompt_tokens": CARD}), ("logprobs", {"content": _TOKENS})),
    *(("token", {"text": MAIL, "id": CARD}), ("tool_calls", [{"index": 0, "id": MAIL}]), ("tokens", [MAIL])),
)
"""What may stand in the place of any value, and what any object may have besides."""


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    for step, item in value.items() if isinstance(value, dict) else ():
        yield from nodes(item, (*path, step))
    for step, item in enumerate(value) if isinstance(value, list) else ():
        yield from nodes(item, (*path, step))


def _with(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def changed(document: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Documents with a value somewhere, and where."""
    for path, node in nodes(document):
        for value in _VALUES if path else ():
            yield path, _with(document, path, value)
        for key, value in _MEMBERS if isinstance(node, dict) else ():
            yield (*path, key), _with(document, (*path, key), value)
