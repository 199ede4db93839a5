"""How much of a request was there before: in what was approved, and in what was decided otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authz_service.audit.words import STRUCTURE, texts_of, words
from authz_service.framing.json_values import count_values
from authz_service.model_apis.turns import TurnPlaces, are_tensors, are_texts
from authz_service.view.exact import exact_json
from authz_service.view.request import Path

_RUN = 3
MOST_COMPARED = 20_000
"""Characters of a body, the last ones: a reviewer waits while up to fifty bodies are compared."""
MOST_VALUES = 100_000
"""Of a body; one with more is compared as it is written, and its messages with none."""
_TAIL = 20 * MOST_COMPARED
"""Bytes of what is no document, such as a stream: with what surrounds its words, enough for the last ones."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A body as it is compared with others: its runs of three words, and the turns of its conversation.

    Of each turn its place, and what stands there. They are the items of the one list that its API has for
    them, or else the texts that its API has, in the order of the API (`system` before `prompt`).
    `is_cut`: there is more in it than was compared.
    """

    body: bytes
    runs: frozenset[tuple[str, ...]]
    turns: Sequence[tuple[Path, Any]] = ()
    is_cut: bool = False


def compared(body: bytes, places: TurnPlaces | None) -> Compared:
    """What is made of a body once, however many it is compared with.

    `places` are those of its operation; None for what is no request, or of no known operation. Words are
    those of the conversation, and of all of the body where it has none.
    """
    if count_values(body, MOST_VALUES) < MOST_VALUES:
        try:
            document = exact_json(body)
        except ValueError:
            pass
        else:
            turns = [] if places is None else _conversation(document, places)
            said, is_cut = _last_said([value for _, value in turns] if turns else document)
            return Compared(body, _runs(said), turns, is_cut)
    tail = body[-_TAIL:]
    is_much = body[:1] in b"{[" or count_values(tail, MOST_VALUES) == MOST_VALUES
    said = tail.decode(errors="replace") if is_much else texts_of(tail)
    is_cut = len(tail) < len(body) or len(said) > MOST_COMPARED
    return Compared(body, _runs(said[-MOST_COMPARED:]), is_cut=is_cut)


def likeness(first: Compared, second: Compared) -> float:
    """From 0 to 1: how many runs of three words two bodies share, of those that either has."""
    if first.body == second.body:
        return 1.0
    shared = len(first.runs & second.runs)
    either = len(first.runs) + len(second.runs) - shared
    return shared / either if either else 0.0


def common_messages(first: Compared, second: Compared) -> int:
    """How many turns, from the first, two conversations have in common; each whole, and in the same place."""
    pairs = enumerate(zip(first.turns, second.turns, strict=False))
    shorter = min(len(first.turns), len(second.turns))
    return next((common for common, (one, other) in pairs if one != other), shorter)


class Overlap:
    """What one body says in the same place as another with which it has `messages` turns in common."""

    def __init__(self, first: Compared, second: Compared, messages: int) -> None:
        self._turns, self._messages = first.turns, messages
        self._bodies = first.body, second.body
        self._documents: tuple[Any, Any] | None = None
        self._is_common: Mapping[Path, bool] | None = None

    def has(self, path: Path) -> bool:
        """Whether what stands at `path`, a turn or a text beside them, is the same in both."""
        if self._is_common is None:
            numbered = enumerate(self._turns)
            self._is_common = {place: number < self._messages for number, (place, _) in numbered}
        if path in self._is_common:
            return self._is_common[path]
        if self._documents is None:
            first, second = map(exact_json, self._bodies)
            self._documents = first, second
        first, second = (_at(document, path) for document in self._documents)
        return first is not None and bool(first == second)


def _at(document: Any, path: Path) -> Any:
    """What stands there; None for nothing."""
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _conversation(document: Any, places: TurnPlaces) -> list[tuple[Path, Any]]:
    """The turns of a request: those of the one list that has them, or else its texts."""
    if not isinstance(document, dict):
        return []
    name = next(_lists(document, places), None)
    if name is not None:
        return [((name, index), value) for index, value in enumerate(document[name])]
    return [((name,), document[name]) for name in places.texts if document.get(name) is not None]


def _lists(document: Mapping[str, Any], places: TurnPlaces) -> Iterator[str]:
    """The members of which each item is a turn of its own; any other of such a name is no conversation."""
    yield from (name for name in (*places.messages, *places.items) if isinstance(document.get(name), list))
    yield from (name for name in places.tensors if are_tensors(document.get(name)))
    yield from (name for name in places.texts if are_texts(document.get(name)))


def _last_said(document: Any) -> tuple[str, bool]:
    """The last characters of what is said in a document, read from its end and no further than that.

    And whether there may be more before them.
    """
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
    return "\n".join(reversed(said)), bool(stack) or left < -1


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    said = words(text)
    if len(said) < _RUN:
        return frozenset([tuple(said)]) if said else frozenset()
    return frozenset(zip(said, said[1:], said[2:], strict=False))
