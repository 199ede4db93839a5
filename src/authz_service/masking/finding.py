"""A finding: a span of a text that a detector recognised."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Finding:
    """`entity` (Presidio's name where it has one) at characters [start, end) of a text.

    `bare` is true where the span is a number or literal of a JSON document within the text, whose
    replacement needs quotes to stay valid JSON. `value` is what the span says, decoded; it is empty where
    the end is not known when the beginning goes out. It is no part of what the finding is called.
    """

    entity: str
    start: int
    end: int
    bare: bool = False
    value: str = field(default="", repr=False, compare=False)


def in_order(finding: Finding) -> tuple[int, str, int]:
    """The order of findings: by start, then entity, then end."""
    return finding.start, finding.entity, finding.end


def join_pieces(steps: Iterable[tuple[tuple[Finding, ...], Set[int]]]) -> tuple[Finding, ...]:
    """The findings of all steps of a stream (`findings` and `more` of each), pieces made whole."""
    joined: list[Finding] = []
    last: dict[str, int] = {}
    for findings, more in steps:
        for index, finding in enumerate(findings):
            if index in more:
                begun = last[finding.entity]
                joined[begun] = replace(joined[begun], end=finding.end)
            else:
                last[finding.entity] = len(joined)
                joined.append(finding)
    return tuple(joined)
