"""Findings that overlap become spans: what one placeholder stands for, decided as the text settles."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from authz_service.masking.finding import Finding
from authz_service.masking.placeholder import placeholder
from authz_service.masking.seams import Progress


class Span(NamedTuple):
    """Characters [start, end) of a text are to be replaced by `placeholder`.

    It is empty where the span goes on with one that was decided before (a region without known end).
    """

    start: int
    end: int
    entity: str
    placeholder: str


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
    return cut(text, (Cut(s.start, s.end, s.placeholder) for s in spans))


class SpanMerger:
    """Merges the findings of `entities` that overlap; others are left alone.

    One placeholder stands for findings that overlap, named after the one that begins first, of these
    the first by name. Not the longest: how far a region goes may not be known yet. What extends a span
    that is decided already comes as another span, without a placeholder.
    """

    def __init__(self, entities: frozenset[str]) -> None:
        self._entities = entities
        self._waiting: list[tuple[int, bool, str, bool, int]] = []
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
                heapq.heappush(self._waiting, (f.start, i not in progress.more, f.entity, f.bare, f.end))
        self._settled = max(self._settled, progress.settled)
        spans: list[Span] = []
        while self._waiting and self._waiting[0][0] < self._settled:
            start, is_new, entity, is_bare, end = heapq.heappop(self._waiting)
            if start >= self._covered:
                spans.append(
                    Span(
                        start,
                        end,
                        entity,
                        placeholder(Finding(entity, start, end, is_bare)) if is_new else "",
                    )
                )
            elif end > self._covered:
                spans.append(Span(self._covered, end, entity, ""))
            self._covered = max(self._covered, end)
        return spans
