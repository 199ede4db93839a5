"""The terms on which a match counts: the words that must stand before it, and the values that may pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import re2

from authz_service.errors import Misconfigured
from authz_service.masking import characters
from authz_service.masking.characters import LOOKBACK
from authz_service.masking.engine import compile_regex

WITHIN = 60
"""Characters before a match in which a context word is looked for, unless the operator says so."""

FARTHEST = 500


class Terms:
    """`words` of which one must stand within `within` characters before a match; none: no such need.

    Words count in whole and in any case. They are looked for in the text before the match only, which
    a stream has seen when it sees the match: so whole texts and streams agree. A value of `allowed`,
    or one that a pattern of `allowed_patterns` matches from end to end, is no finding.
    """

    def __init__(
        self,
        *,
        words: Iterable[str] = (),
        within: int = WITHIN,
        allowed: Iterable[str] = (),
        allowed_patterns: Iterable[str] = (),
    ) -> None:
        """Raises `Misconfigured` for a pattern that RE2 refuses."""
        self._listed = frozenset(words)
        options = "|".join(re2.escape(word) for word in sorted(self._listed))
        self._words = compile_regex(rf"(?i)[^\pL\pN](?:{options})(?:[^\pL\pN]|\z)") if options else None
        self._anywhere = compile_regex(rf"(?i)(?:{options})") if options else None
        self._within = within
        self._allowed = frozenset(value.encode() for value in allowed)
        patterns = "|".join(f"(?:{pattern})" for pattern in allowed_patterns)
        try:
            self._allowed_patterns = compile_regex(rf"\A(?:{patterns})\z") if patterns else None
        except re2.error as cause:
            raise Misconfigured(
                "a pattern of allowed values is no RE2 pattern", code="bad_pattern"
            ) from cause
        self.lookback = within + 1 if options else LOOKBACK

    @classmethod
    def any_of(cls, terms: Sequence[Terms]) -> Terms:
        """The context that one at least of these asks for; none where one asks for none."""
        if not all(each._listed for each in terms):
            return cls()
        return cls(
            words=frozenset().union(*(each._listed for each in terms)),
            within=max(each._within for each in terms),
        )

    def has_context(self, text: bytes, start: int) -> bool:
        """Whether one of the words stands before `start`."""
        return self._words is None or self._words.search(self._before(text, start)) is not None

    def may_have_context(self, text: bytes) -> bool:
        """Whether `has_context` may be true for any place of a text; False is certain."""
        return self._anywhere is None or self._anywhere.search(text) is not None

    def is_allowed(self, value: bytes) -> bool:
        """Whether the operator lets this very value pass."""
        if value in self._allowed:
            return True
        return self._allowed_patterns is not None and self._allowed_patterns.search(value) is not None

    def _before(self, text: bytes, start: int) -> bytes:
        """Where words are looked for, with one character before that shows where a word begins."""
        at = characters.back(text, start, self._within + 1)
        before = text[at:start]
        return before if at > 0 or characters.count(before) > self._within else b" " + before


def check_allowed_pattern(pattern: str) -> None:
    """Whether RE2 takes a pattern; raises `Misconfigured`."""
    Terms(allowed_patterns=[pattern])
