"""A detector for values that a pattern describes from start to end, with a validator or without."""

from __future__ import annotations

from authz_service.masking.engine import compile_prefixes, compile_regex
from authz_service.masking.prefix import prefix_pattern
from authz_service.masking.steps import Span, Step
from authz_service.masking.terms import Terms
from authz_service.masking.validators import Validator, as_matched

_ANY = Terms()


class PatternDetector:
    """Matches of an RE2 pattern, leftmost first, that the validator and the terms accept."""

    def __init__(
        self,
        entity: str,
        pattern: str,
        validator: Validator = as_matched,
        *,
        sign: str | None = None,
        family: str = "",
        is_loose: bool = False,
        terms: Terms = _ANY,
    ) -> None:
        """`sign` occurs in every match, and is cheaper to look for than the pattern.

        With `is_loose`, more may be held back than could become a value (see `prefix_pattern`).
        """
        self.entities = frozenset({entity})
        self.sign = pattern if sign is None else sign
        self.prefixes = prefix_pattern(pattern, is_loose=is_loose)
        self.family = family
        self.lookback = terms.lookback
        self._entity = entity
        self._validator = validator
        self._terms = terms
        self._matches = compile_regex(pattern)
        self._live = compile_prefixes(prefix_pattern(pattern))

    def step(self, window: bytes, at: int, *, is_last: bool, is_inside: bool = False) -> Step:
        """Take every match that begins before the first place that is still open.

        From a start before that place no prefix reaches the end of the window, so nothing to come
        can change the match there; the byte after it is in the window too.
        """
        spans: list[Span] = []
        live = len(window) if is_last else self.live(window, at)
        may_count = self._terms.may_have_context(window)
        while (match := self._matches.search(window, at)) is not None and match[0] < live:
            at = self._judge(window, match[0], match[1], spans) if may_count else match[1]
            if at > live:
                live = self.live(window, at)
        return Step(tuple(spans), at=at, settled=live, keep=live)

    def live(self, window: bytes, at: int) -> int:
        """See `Detector.live`; a match that ends with the window is open too."""
        match = self._live.search(window, at)
        return len(window) if match is None else match[0]

    def _judge(self, window: bytes, start: int, end: int, spans: list[Span]) -> int:
        """Add the match to `spans` if it counts; say where to go on."""
        if not self._terms.has_context(window, start):
            return end
        verdict = self._validator(window, start, end)
        if verdict.end is not None:
            first = start if verdict.start is None else verdict.start
            value = window[first : verdict.end]
            if not self._terms.is_allowed(value):
                spans.append(Span(first, verdict.end, self._entity, value))
        return verdict.resume
