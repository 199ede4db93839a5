"""Findings of one entity type that overlap are one, whichever view of the text they were found in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from authz_service.masking.finding import Finding


class Union:
    """Takes findings in the order of their start, in any number of shares."""

    def __init__(self) -> None:
        self._covered: dict[str, int] = {}

    def take(self, pieces: Iterable[tuple[Finding, bool]]) -> tuple[tuple[Finding, ...], frozenset[int]]:
        """The findings, and the indexes of those that go on with the last of their entity type.

        A piece that is True goes on with what was found before, as far as that was known.
        """
        findings: list[Finding] = []
        last: dict[str, int] = {}
        more: set[int] = set()
        for finding, continues in pieces:
            covered = self._covered.get(finding.entity, -1)
            if finding.end <= covered:
                continue
            self._covered[finding.entity] = finding.end
            goes_on = continues or finding.start < covered
            if goes_on and finding.entity in last:
                index = last[finding.entity]
                findings[index] = _longer(findings[index], finding)
                continue
            last[finding.entity] = len(findings)
            if goes_on:
                more.add(len(findings))
                finding = replace(finding, start=min(finding.start, covered))
            findings.append(finding)
        return tuple(findings), frozenset(more)


def _longer(known: Finding, other: Finding) -> Finding:
    """Both as one, which says what the other says where that begins with it and goes on."""
    value = other.value if other.start == known.start else known.value
    return replace(known, end=other.end, value=value)
