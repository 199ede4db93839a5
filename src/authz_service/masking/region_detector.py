"""A detector for values that begin with a marker and run to another, or else to the end of the text."""

from __future__ import annotations

from authz_service.masking.characters import LOOKBACK
from authz_service.masking.engine import Match, compile_prefixes, compile_regex
from authz_service.masking.prefix import prefix_pattern
from authz_service.masking.steps import Span, Step


class RegionDetector:
    """From an opening marker to its closing one, of any length; without one, all that follows.

    A stream need not hold back what is inside: each window's share goes out as a span at once, and
    only the beginning of a closing marker is kept. The end of an opening marker must not depend on
    what follows it.
    """

    lookback = LOOKBACK

    def __init__(self, entity: str, *, opening: str, closing: str, family: str = "") -> None:
        self.entities = frozenset({entity})
        self.sign = opening
        self.prefixes = prefix_pattern(opening)
        self.family = family
        self._entity = entity
        self._opens = compile_regex(opening)
        self._live = compile_prefixes(self.prefixes)
        self._closes = compile_regex(closing)
        self._closing = compile_prefixes(prefix_pattern(closing))

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """Take each region that opens; the share of one that does not close ends with the window.

        While `is_inside`, `at` is where the closing marker is looked for: the span of this step begins
        there, though the window before it had been taken to its end.
        """
        spans: list[Span] = []
        start = at
        while True:
            if not is_inside:
                opening = self._opens.search(window, at)
                live = len(window) if is_last else self.live(window, at)
                if opening is None or opening[0] > live:
                    return Step(tuple(spans), at=at, settled=live, keep=live)
                start, at = opening
            closing = self._closes.search(window, at)
            if closing is None:
                spans.append(Span(start, len(window), self._entity, continues=is_inside))
                keep = _start(self._closing.search(window, at), len(window))
                return Step(tuple(spans), at=keep, settled=len(window), keep=keep, is_inside=True)
            spans.append(Span(start, closing[1], self._entity, continues=is_inside))
            at, is_inside = closing[1], False

    def live(self, window: bytes, at: int) -> int:
        """See `Detector.live`."""
        return _start(self._live.search(window, at), len(window))


def _start(match: Match | None, otherwise: int) -> int:
    return otherwise if match is None else match[0]
