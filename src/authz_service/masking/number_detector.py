"""A detector for numbers that look alike: digits of which a check, and a word before them, say what they are.

Tax, health and identity numbers of many countries are nine to fifteen digits. One pattern finds the
candidates of all, so that a text is searched once, and a stream holds back digits once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from authz_service.masking.entity_type import DIGITS
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.patterns import GAP
from authz_service.masking.steps import Span, Step
from authz_service.masking.terms import Terms
from authz_service.masking.validators import after_digits, is_digit

CANDIDATE = rf"[0-9](?:{GAP}?[0-9]){{8,14}}"


class Numbers(NamedTuple):
    """One entity type's numbers."""

    entity: str
    digits: int
    is_valid: Callable[[str], bool]
    terms: Terms


class NumberDetector(PatternDetector):
    """Numbers of several entity types; one that fits more than one type is found as each."""

    def __init__(self, numbers: Sequence[Numbers]) -> None:
        super().__init__("", CANDIDATE, family=DIGITS)
        self.entities = frozenset(number.entity for number in numbers)
        self.lookback = max(number.terms.lookback for number in numbers)
        self._numbers = tuple(numbers)
        self._any_context = Terms.any_of([number.terms for number in numbers])

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """See `Detector.step`; tables are full of candidates, and mostly have none of the words."""
        if self._any_context.may_have_context(window):
            return super().step(window, at, is_last=is_last, is_inside=is_inside)
        live = len(window) if is_last else self.live(window, at)
        if is_digit(window, live - 1):  # no number begins within a run of digits
            live = self.live(window, after_digits(window, live))
        return Step((), at=at, settled=live, keep=live)

    def _judge(self, window: bytes, start: int, end: int, spans: list[Span]) -> int:
        """A number begins where its digits do, and ends with a group of them."""
        if is_digit(window, start - 1) or not self._any_context.has_context(window, start):
            return after_digits(window, start)
        ends = _group_ends(window, start, end)
        digits = bytes(byte for byte in window[start:end] if 0x30 <= byte <= 0x39).decode()
        for entity, length, is_valid, terms in self._numbers:
            stop = ends.get(length)
            if stop is None or not terms.has_context(window, start) or not is_valid(digits[:length]):
                continue
            value = window[start:stop]
            if not terms.is_allowed(value):
                spans.append(Span(start, stop, entity, value))
        return after_digits(window, start)


def _group_ends(window: bytes, start: int, end: int) -> dict[int, int]:
    """Where the groups end that complete this many digits."""
    ends: dict[int, int] = {}
    digits = 0
    for at in range(start, end):
        if is_digit(window, at):
            digits += 1
            if not is_digit(window, at + 1):
                ends[digits] = at + 1
    return ends
