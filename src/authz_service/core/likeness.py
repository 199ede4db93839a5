"""How much of a request was there before: in what was approved, and in what was decided otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from authz_service.audit.words import STRUCTURE, texts_of, words

_LISTS = ("messages", "input", "contents")
"""The members in which dialects have a conversation."""
_RUN = 3
MOST_COMPARED = 20_000
"""Characters of a body, the last ones: a reviewer waits while up to fifty bodies are compared."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A body as it is compared with others: its runs of three words, and the messages of its conversation."""

    body: bytes
    runs: frozenset[tuple[str, ...]]
    messages: Sequence[Any]


def compared(body: bytes) -> Compared:
    """What is made of a body once, however many it is compared with.

    Words are those of the conversation, and of all of the body where it has none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Compared(body, _runs(texts_of(body)[-MOST_COMPARED:]), ())
    messages = _conversation(document)
    return Compared(body, _runs(_last_said(document if messages is None else messages)), messages or ())


def likeness(first: Compared, second: Compared) -> float:
    """From 0 to 1: how many runs of three words two bodies share, of those that either has."""
    if first.body == second.body:
        return 1.0
    shared = len(first.runs & second.runs)
    either = len(first.runs) + len(second.runs) - shared
    return shared / either if either else 0.0


def common_messages(first: Compared, second: Compared) -> int:
    """How many messages, from the beginning, two conversations have in common; each whole."""
    common = 0
    for one, other in zip(first.messages, second.messages, strict=False):
        if _written(one) != _written(other):
            break
        common += 1
    return common


def _conversation(document: Any) -> list[Any] | None:
    if not isinstance(document, dict):
        return None
    lists = (document.get(name) for name in _LISTS)
    return next((value for value in lists if isinstance(value, list)), None)


def _last_said(document: Any) -> str:
    """The last characters of what is said in a document, read from its end and no further than that."""
    left, said, stack = MOST_COMPARED, [], [document]
    while stack and left > 0:
        value = stack.pop()
        if isinstance(value, str):
            said.append(value[-left:])
            left -= len(value) + 1
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend(v for key, v in value.items() if key not in STRUCTURE or not isinstance(v, str))
    return "\n".join(reversed(said))


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    said = words(text)
    if len(said) < _RUN:
        return frozenset([tuple(said)]) if said else frozenset()
    return frozenset(zip(said, said[1:], said[2:], strict=False))


def _written(message: Any) -> bytes:
    # Compared as they are written: to Python `1` and `true` are the same.
    return orjson.dumps(message, option=orjson.OPT_SORT_KEYS)
