"""Reversible placeholders: what stands for the values of one request while the model has it.

`<EMAIL_ADDRESS_1>` is the first e-mail address that the request says, wherever it says it again. What a
request says that looks like a placeholder becomes one itself, `<PLACEHOLDER_1>`: so neither a caller nor a
document can have a value filled in by writing its placeholder, and what they wrote comes back as they did.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from authz_service.masking.finding import Finding, in_order
from authz_service.masking.marked import Mark, MarkedScanner
from authz_service.masking.seams import IncrementalScanner, Progress, Scanner

TYPED = "placeholder"
"""The entity type of what looks like a placeholder in a request; no detector can have this name."""

TYPED_LABEL = "PLACEHOLDER"
"""What its placeholders are called."""
_MOST_DIGITS = 9


class Place(StrEnum):
    """Where in an answer a value is restored. TEXT is whatever is no argument of a tool's."""

    TEXT = "text"
    TOOL_ARGUMENTS = "tool_arguments"


EVERYWHERE = frozenset(Place)

Reversible = Mapping[str, frozenset[Place]]
"""The entity types whose values are given back, and where."""


@dataclass(frozen=True, slots=True)
class Restorable:
    """What a placeholder stands for, and where in the answer it is restored."""

    entity: str
    value: str = field(repr=False)
    places: frozenset[Place]


class Placeholders:
    """The placeholders of one request; they are gone with it. Their names tell nothing about the values."""

    def __init__(self, reversible: Reversible) -> None:
        self._reversible = reversible
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self.by_name: dict[str, Restorable] = {}

    def name(self, entity: str, value: str) -> str:
        """The placeholder of a value: the same for the same value, numbered within its type otherwise."""
        name = self._names.get((entity, value))
        if name is None:
            label = TYPED_LABEL if entity == TYPED else entity
            self._counts[label] = number = self._counts.get(label, 0) + 1
            name = self._names[entity, value] = f"<{label}_{number}>"
            places = EVERYWHERE if entity == TYPED else self._reversible[entity]
            self.by_name[name] = Restorable(label, value, places)
        return name


class TypedPlaceholders:
    """Implements `Marks`: whatever looks like a placeholder of these entity types."""

    entities = frozenset((TYPED,))

    def __init__(self, reversible: Collection[str]) -> None:
        self._labels = frozenset((*reversible, TYPED_LABEL))
        self.longest = max(map(len, self._labels)) + len("<_>") + _MOST_DIGITS

    def recognise(self, text: str, *, in_json: bool) -> Mark | None:
        """See `Marks.recognise`."""
        label, _, number = text[1:-1].rpartition("_")
        is_number = number.isascii() and number.isdecimal() and not number.startswith("0")
        return Mark(TYPED, text) if is_number and label in self._labels else None

    def may_become(self, text: str) -> bool:
        """See `Marks.may_become`; a request is there as a whole."""
        return True


class WithTyped:
    """A scanner that finds what looks like a placeholder too."""

    def __init__(self, scanner: Scanner, reversible: Collection[str]) -> None:
        self.entities = scanner.entities | {TYPED}
        self._scanner = scanner
        self._typed = MarkedScanner(TypedPlaceholders(reversible), unescapes=True)

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`."""
        found = self._scanner.scan(text, embedded_json=embedded_json)
        typed = self.typed(text, embedded_json=embedded_json)
        return tuple(sorted((*found, *typed), key=in_order)) if typed else found

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """See `Scanner.incremental`."""
        both = (self._scanner, self._typed)
        return _Together(both, [scanner.incremental(embedded_json=embedded_json) for scanner in both])

    def typed(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """What looks like a placeholder alone."""
        return self._typed.scan(text, embedded_json=embedded_json)


class _Together:
    """Implements `IncrementalScanner`: what several find that have no entity type in common."""

    def __init__(self, scanners: Sequence[Scanner], streams: Sequence[IncrementalScanner]) -> None:
        self._scanners = scanners
        self._streams = streams
        self._waiting: list[tuple[Finding, bool]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> _Together:
        """One that goes on apart from it; they share their scanners."""
        shared = memo | {id(scanner): scanner for scanner in self._scanners}
        copied = _Together(self._scanners, [deepcopy(stream, shared) for stream in self._streams])
        copied._waiting = [*self._waiting]
        return copied

    def feed(self, text: str) -> Progress:
        """See `IncrementalScanner.feed`."""
        return self._taken(lambda stream: stream.feed(text))

    def finish(self, text: str = "") -> Progress:
        """See `IncrementalScanner.finish`."""
        return self._taken(lambda stream: stream.finish(text))

    def _taken(self, step: Callable[[IncrementalScanner], Progress]) -> Progress:
        steps = [step(stream) for stream in self._streams]
        settled = min(taken.settled for taken in steps)
        for taken in steps:
            self._waiting += ((found, i in taken.more) for i, found in enumerate(taken.findings))
        self._waiting.sort(key=lambda waits: waits[0].start)
        count = sum(found.start < settled for found, _ in self._waiting)
        given, self._waiting = self._waiting[:count], self._waiting[count:]
        more = frozenset(i for i, (_, goes_on) in enumerate(given) if goes_on)
        return Progress(tuple(found for found, _ in given), settled, more)
