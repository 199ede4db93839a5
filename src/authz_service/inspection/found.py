"""What was found in each text of a request, by itself and with its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_service.inspection.neighbours import findings_across
from authz_service.masking.finding import Finding
from authz_service.masking.json_numbers import found_in_number
from authz_service.masking.placeholders import TYPED
from authz_service.view.request import RequestView, TextField, TextKind

_SHORT = 100
"""Characters up to which a text is likely to come again."""


class Search(Protocol):
    """What finds something in a whole text."""

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`."""
        ...


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in one text; indexes in `tails` go on with what began in a neighbour.

    `joined` are the values that go on in a neighbour, by their start.
    """

    field: TextField
    findings: tuple[Finding, ...]
    tails: frozenset[int] = frozenset()
    joined: Mapping[int, str] | None = None


def found_in(view: RequestView, scanner: Search) -> list[Scanned]:
    """The texts in which something was found."""
    scan = _once(scanner)
    across = findings_across(view.texts, scan, view.in_parts)
    scanned: list[Scanned] = []
    for i, text in enumerate(view.texts):
        if text.kind is TextKind.JSON:
            findings = scanner.scan(text.text, embedded_json=True)
        elif text.is_number:
            findings = found_in_number(text.text, scan)
        else:
            findings = scan(text.text)
        if i in across:
            extra = [f for f in across[i] if f.finding not in findings or f.is_tail]
            tails = frozenset(len(findings) + n for n, f in enumerate(extra) if f.is_tail)
            joined = {f.finding.start: f.written for f in across[i] if not f.is_tail}
            scanned.append(Scanned(text, (*findings, *(f.finding for f in extra)), tails, joined))
        elif findings:
            scanned.append(Scanned(text, findings))
    return scanned


def _once(scanner: Search) -> Callable[[str], tuple[Finding, ...]]:
    """Scans of plain texts; short ones come again within a request (the words of schemas), and are kept."""
    known: dict[str, tuple[Finding, ...]] = {}

    def scan(text: str) -> tuple[Finding, ...]:
        if len(text) > _SHORT:
            return scanner.scan(text)
        found = known.get(text)
        if found is None:
            found = known[text] = scanner.scan(text)
        return found

    return scan


def findings_count(scanned: Sequence[Scanned]) -> dict[str, int]:
    """How much of each entity type was found; what goes on in a neighbour counts once."""
    counts: dict[str, int] = {}
    for s in scanned:
        add_counts(counts, (f.entity for i, f in enumerate(s.findings) if i not in s.tails))
    counts.pop(TYPED, None)
    return counts


def add_counts(counts: dict[str, int], entities: Iterable[str]) -> None:
    """Count each of these once more."""
    for entity in entities:
        counts[entity] = counts.get(entity, 0) + 1
