"""A detector for values that a pattern describes from start to end, with a validator or without."""

from __future__ import annotations

from authz_service.masking.engine import compile_prefixes, compile_regex
from authz_service.masking.prefix import prefix_pattern
from authz_service.masking.steps import Span, Step
from authz_service.masking.validators import Validator, Verdict


def _as_matched(_text: bytes, _start: int, end: int) -> Verdict:
    return Verdict(end, end)


class PatternDetector:
    """Matches of an RE2 pattern, leftmost first, that the validator accepts."""

    def __init__(
        self, entity: str, pattern: str, validator: Validator = _as_matched, *, sign: str | None = None
    ) -> None:
        """`sign` occurs in every match, and is cheaper to look for than the pattern."""
        self.entity = entity
        self.sign = pattern if sign is None else sign
        self.prefixes = prefix_pattern(pattern)
        self._validator = validator
        self._matches = compile_regex(pattern)
        self._live = compile_prefixes(self.prefixes)

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """Take every match that begins before the first place that is still open.

        From a start before that place no prefix reaches the end of the window, so nothing to come
        can change the match there; the byte after it is in the window too.
        """
        spans: list[Span] = []
        live = len(window) if is_last else self.live(window, at)
        while (match := self._matches.search(window, at)) is not None and match.start() < live:
            verdict = self._validator(window, match.start(), match.end())
            if verdict.end is not None:
                start = match.start() if verdict.start is None else verdict.start
                spans.append(Span(start, verdict.end))
            at = verdict.resume
            if at > live:
                live = self.live(window, at)
        return Step(tuple(spans), at=at, settled=live, keep=live)

    def live(self, window: bytes, at: int) -> int:
        """See `Detector.live`; a match that ends with the window is open too."""
        match = self._live.search(window, at)
        return len(window) if match is None else match.start()
