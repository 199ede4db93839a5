"""Texts that are complete when they come: what is found in them is counted and masked at once."""

from __future__ import annotations

from authz_service.errors import Unreadable
from authz_service.inspection.spans import SpanMerger, count, mask
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.request import TextKind

MOST_REMEMBERED = 64
LONGEST_REMEMBERED = 256
"""Texts without a finding that need not be read again in the same answer, and their characters."""


class CompleteTexts:
    """Counts what it finds in `found` and what it replaces in `masked`, which it shares with channels."""

    def __init__(
        self, scanner: Scanner, entities: frozenset[str], *, found: dict[str, int], masked: dict[str, int]
    ) -> None:
        self._scanner = scanner
        self._entities = entities
        self._found = found
        self._masked = masked
        self._harmless: set[str] = set()
        """Plain texts without a finding. What comes with every frame, such as an id, is read once."""

    def masked(self, text: str, kind: TextKind) -> str | None:
        """What goes out in place of a text; None where it goes out as it is."""
        if kind is TextKind.JSON:
            progress = self._scanner.incremental(embedded_json=True).finish(text)
        elif text in self._harmless:
            return None
        else:
            progress = Progress(self._scanner.scan(text), len(text))
            if not progress.findings:
                self._remember(text)
        for i, finding in enumerate(progress.findings):
            if i not in progress.more:
                count(self._found, finding.entity)
        spans = SpanMerger(self._entities).take(progress) if progress.findings else ()
        for span in spans:
            if span.placeholder:
                count(self._masked, span.entity)
        return mask(text, spans) if spans else None

    def is_harmless(self, text: str, kind: TextKind) -> bool:
        """Whether a text is remembered to have no finding."""
        return text in self._harmless and kind is TextKind.PLAIN

    def check_key(self, key: str) -> None:
        """Raises `Unreadable` (502, `unmaskable`) for a key that would have to be masked."""
        for finding in self._scanner.scan(key):
            count(self._found, finding.entity)
            if finding.entity in self._entities:
                raise Unreadable(
                    f"the answer has {finding.entity} in the name of a field, where it cannot be masked",
                    code="unmaskable",
                    status=502,
                )

    def _remember(self, text: str) -> None:
        if len(self._harmless) < MOST_REMEMBERED and len(text) <= LONGEST_REMEMBERED:
            self._harmless.add(text)
