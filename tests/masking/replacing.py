"""The masking of a whole text, said in the plainest way: what streams are held against."""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import pairwise

from authz_service.masking.finding import Finding
from authz_service.masking.placeholder import placeholder


def merge(findings: Iterable[Finding], entities: Set[str]) -> tuple[Finding, ...]:
    """The findings of these entity types, with spans that overlap made one.

    Such a span is named after the finding that begins first; of several, the longest, and of those
    the first by name. Spans that only touch stay two.
    """
    merged: list[Finding] = []
    chosen = (finding for finding in findings if finding.entity in entities)
    for finding in sorted(chosen, key=lambda f: (f.start, -f.end, f.entity)):
        last = merged[-1] if merged else None
        if last is None or finding.start >= last.end:
            merged.append(finding)
        else:
            end, bare = max(last.end, finding.end), last.bare or finding.bare
            merged[-1] = Finding(last.entity, last.start, end, bare)
    return tuple(merged)


def replace(text: str, findings: Iterable[Finding]) -> str:
    """The text with a placeholder for each finding; they must not overlap (see `merge`)."""
    spans = tuple(findings)
    if any(later.start < earlier.end for earlier, later in pairwise(spans)):
        raise ValueError("findings overlap or are out of order")
    parts: list[str] = []
    at = 0
    for finding in spans:
        parts += (text[at : finding.start], placeholder(finding))
        at = finding.end
    return "".join((*parts, text[at:]))
