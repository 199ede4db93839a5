"""How much of a request was there before: in what was approved, and in what was decided otherwise."""

from __future__ import annotations

from typing import Any

import orjson

from authz_service.audit.words import texts_of, words

_LISTS = ("messages", "input", "contents")
"""The members in which dialects have a conversation."""
_RUN = 3


def likeness(first: bytes, second: bytes) -> float:
    """From 0 to 1: how many runs of three words two bodies share, of those that either has."""
    if first == second:
        return 1.0
    one, other = _runs(first), _runs(second)
    return len(one & other) / len(one | other) if one or other else 0.0


def common_messages(first: bytes, second: bytes) -> int:
    """How many messages, from the beginning, two conversations have in common; each whole."""
    common = 0
    for one, other in zip(_messages(first), _messages(second), strict=False):
        if one != other:
            break
        common += 1
    return common


def _runs(body: bytes) -> set[tuple[str, ...]]:
    said = words(texts_of(body))
    if len(said) < _RUN:
        return {tuple(said)} if said else set()
    return {tuple(said[at : at + _RUN]) for at in range(len(said) - _RUN + 1)}


def _messages(body: bytes) -> list[bytes]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(document, dict):
        return []
    lists = (document.get(name) for name in _LISTS)
    found: list[Any] = next((value for value in lists if isinstance(value, list)), [])
    # Compared as they are written: to Python `1` and `true` are the same.
    return [orjson.dumps(message, option=orjson.OPT_SORT_KEYS) for message in found]
