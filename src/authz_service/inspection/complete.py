"""Texts that are complete when they come: what is found in them is counted and masked at once."""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.errors import Unreadable
from authz_service.inspection.echoes import echoed
from authz_service.inspection.spans import Cut, Span, SpanMerger, cut, cuts_of
from authz_service.inspection.tally import Tally
from authz_service.masking.json_numbers import found_in_number, readings
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.answer import AnswerField
from authz_service.view.request import Path, TextKind

MOST_REMEMBERED = 64
LONGEST_REMEMBERED = 256
"""Texts without a finding that need not be read again in the same answer, and their characters."""


class CompleteTexts:
    """Counts what it finds in `found` and what it replaces in `masked`, which it shares with channels."""

    def __init__(
        self,
        scanner: Scanner,
        entities: frozenset[str],
        *,
        found: Tally,
        masked: Tally,
        arguments: Scanner | None = None,
    ) -> None:
        """`arguments` is the scanner of what tools are called with, where that is another."""
        self._scanner = scanner
        self._arguments = arguments or scanner
        self._entities = entities
        self._found = found
        self._masked = masked
        self._harmless: set[str] = set()
        """Plain texts without a finding. What comes with every frame, such as an id, is read once."""

    def edits(self, field: AnswerField) -> dict[Path, str | None] | None:
        """What is to be edited for a text; None where it goes out as it is."""
        spans = self._spans(field)
        return edits_of(field, cuts_of(spans)) if spans else None

    def cuts(self, field: AnswerField) -> Sequence[Cut]:
        """What is to be cut in a text."""
        return cuts_of(self._spans(field))

    def _spans(self, field: AnswerField) -> Sequence[Span]:
        if field.text in self._harmless and self.is_harmless(field):
            return ()
        progress = self._read(field)
        if not progress.findings:
            self._remember(field)
            return ()
        for i, finding in enumerate(progress.findings):
            if i not in progress.more:
                self._found.add(finding.entity, field.channel, field.copy)
        spans = SpanMerger(self._entities).take(progress)
        for span in spans:
            if span.is_new:
                self._masked.add(span.entity, field.channel, field.copy)
        return spans

    def _read(self, field: AnswerField) -> Progress:
        text = field.text
        scanner = self._scanner if field.kind is TextKind.PLAIN else self._arguments
        if field.is_number:
            return Progress(found_in_number(text, scanner.scan), len(text))
        if field.kind is TextKind.JSON:
            return scanner.incremental(embedded_json=True).finish(text)
        return Progress(scanner.scan(text), len(text))

    def is_harmless(self, field: AnswerField) -> bool:
        """Whether a text is remembered to have no finding."""
        if field.text not in self._harmless or field.kind is not TextKind.PLAIN:
            return False
        return not (field.is_number and _is_read_in_two_ways(field.text))

    def has_none(self, text: str) -> bool:
        """Whether a plain text has no finding; nothing is counted."""
        return not (text and self._scanner.scan(text))

    def check_key(self, key: str) -> None:
        """Raises `Unreadable` (502, `unmaskable`) for a key that would have to be masked."""
        for finding in self._scanner.scan(key):
            self._found.add(finding.entity)
            if finding.entity in self._entities:
                raise Unreadable(
                    f"the answer has {finding.entity} in the name of a field, where it cannot be masked",
                    code="unmaskable",
                    status=502,
                )

    def _remember(self, field: AnswerField) -> None:
        is_short = len(field.text) <= LONGEST_REMEMBERED
        is_plain = field.kind is TextKind.PLAIN and not (field.is_number and _is_read_in_two_ways(field.text))
        if is_short and is_plain and len(self._harmless) < MOST_REMEMBERED:
            self._harmless.add(field.text)


def _is_read_in_two_ways(number: str) -> bool:
    """Whether each reading is scanned by itself, and not the text as it stands."""
    return len(readings(number)) > 1


def edits_of(field: AnswerField, cuts: Sequence[Cut]) -> dict[Path, str | None]:
    """The edits of a text that is cut, and of what says it once more in its frame."""
    edits: dict[Path, str | None] = {field.path: cut(field.text, cuts)}
    if field.echoes:
        edits |= echoed(field.text, cuts, field.echoes)
    return edits
