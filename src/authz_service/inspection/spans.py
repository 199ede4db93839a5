"""Findings that overlap become spans: what one placeholder stands for, decided as the text settles."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from authz_service.masking.finding import Finding
from authz_service.masking.operators import Masks
from authz_service.masking.placeholder import placeholder
from authz_service.masking.seams import Progress


class Span(NamedTuple):
    """Characters [start, end) of a text are to be replaced by `placeholder`.

    It is empty where the span goes on with one that was decided before, and so is not new (a region
    without known end), or where the value is dropped. `bare` is as in `Finding`.
    """

    start: int
    end: int
    entity: str
    placeholder: str
    is_new: bool = True
    bare: bool = False


class Cut(NamedTuple):
    """What a span does to one piece of the text: `placeholder` instead of its characters [start, end)."""

    start: int
    end: int
    placeholder: str


def cut(text: str, cuts: Iterable[Cut]) -> str:
    """`text` with the cuts made; they are in order and do not overlap."""
    pieces: list[str] = []
    copied = 0
    for start, end, placed in cuts:
        pieces += (text[copied:start], placed)
        copied = end
    return "".join((*pieces, text[copied:]))


def mask(text: str, spans: Sequence[Span]) -> str:
    """`text` with each span replaced by its placeholder."""
    return cut(text, cuts_of(spans))


def cuts_of(spans: Sequence[Span]) -> list[Cut]:
    """What spans do to their text."""
    return [Cut(span.start, span.end, span.placeholder) for span in spans]


class SpanMerger:
    """Merges the findings of `entities` that overlap; others are left alone.

    What stands in their place is the entity type, unless `entities` are `Masks`, which know better.

    One placeholder stands for findings that overlap, named after the one that begins first, of these
    the first by name. Not the longest: how far a region goes may not be known yet. What extends a span
    that is decided already comes as another span, without a placeholder.
    """

    def __init__(self, entities: frozenset[str]) -> None:
        self._entities = entities
        self._replacement = entities.replacement if isinstance(entities, Masks) else placeholder
        self._waiting: list[tuple[int, bool, str, bool, int, str]] = []
        self._settled = 0
        self._covered = -1

    @property
    def decided(self) -> int:
        """Before this character, no span will be added or changed."""
        return max(self._settled, self._covered)

    def take(self, progress: Progress) -> list[Span]:
        """The spans that are decided by this progress, in order.

        Whatever begins before `settled` is known by now, so it can be merged from left to right.
        """
        for i, f in enumerate(progress.findings):
            if f.entity in self._entities:
                is_new = i not in progress.more
                heapq.heappush(self._waiting, (f.start, is_new, f.entity, f.bare, f.end, f.value))
        self._settled = max(self._settled, progress.settled)
        spans: list[Span] = []
        while self._waiting and self._waiting[0][0] < self._settled:
            start, is_new, entity, is_bare, end, value = heapq.heappop(self._waiting)
            if start >= self._covered:
                finding = Finding(entity, start, end, is_bare, value)
                placed = self._replacement(finding) if is_new else ""
                spans.append(Span(start, end, entity, placed, is_new, is_bare))
            elif end > self._covered:
                spans.append(Span(self._covered, end, entity, "", is_new=False))
            self._covered = max(self._covered, end)
        return spans
