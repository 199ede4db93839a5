"""One detector, one step over a window of text: the same step serves whole texts and streams."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Span(NamedTuple):
    """Bytes [start, end) of a window. `continues` when it goes on from the entity's span before it.

    `value` is what they say; empty when the end is not known yet.
    """

    start: int
    end: int
    entity: str
    value: bytes = b""
    continues: bool = False


class Step(NamedTuple):
    """What a step found and where the next one goes on, in bytes of the window.

    The next step looks from `at`, or from `settled` where that is later. No later span begins before
    `settled`. Text from `keep` on must be shown again. `is_inside`: a region goes on past the window.
    """

    spans: tuple[Span, ...]
    at: int
    settled: int
    keep: int
    is_inside: bool = False


class Detector(Protocol):
    """Finds values of some entity types; it has no state, so one serves all channels."""

    entities: frozenset[str]
    sign: str
    """A pattern that occurs in every text that holds a value."""
    prefixes: str
    """A pattern that matches, up to the end, every text that may yet become a value."""
    family: str
    """Detectors of one family are searched for together; see `Family`."""
    lookback: int
    """Characters before a value that it looks at."""

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """Look at a window from `at`; `lookback` characters before it are there if the text has them."""
        ...

    def live(self, window: bytes, at: int) -> int:
        """Where the first value could begin, at or after `at`, that the next text completes."""
        ...
