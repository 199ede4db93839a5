"""What an operator may say about an entity type."""

from __future__ import annotations

from dataclasses import dataclass, replace

from authz_service.masking.entity_type import CONTEXT, THRESHOLD
from authz_service.masking.terms import WITHIN, Terms


@dataclass(frozen=True, slots=True)
class Options:
    """On which terms matches count.

    `threshold` is the score that a match needs. Where `context` has words, one of them must stand within
    `within` characters before a match. Values of `allow`, and those that a pattern of `allow_patterns`
    matches from end to end, are no findings.
    """

    threshold: float = THRESHOLD
    context: tuple[str, ...] = ()
    within: int = WITHIN
    allow: tuple[str, ...] = ()
    allow_patterns: tuple[str, ...] = ()

    def anywhere(self) -> Options:
        """On which the same matches count, and more: whatever stands before them, however sure they are."""
        return replace(self, threshold=0.0, context=())

    def terms(self, score: float, words: tuple[str, ...]) -> Terms | None:
        """The terms for matches of this score that these words raise; None when they can never count."""
        with_context = round(score + CONTEXT, 2)
        if not self.context and score >= self.threshold:
            return self._terms(())
        words = self.context or words
        return self._terms(words) if words and with_context >= self.threshold else None

    def _terms(self, words: tuple[str, ...]) -> Terms:
        return Terms(
            words=words, within=self.within, allowed=self.allow, allowed_patterns=self.allow_patterns
        )
