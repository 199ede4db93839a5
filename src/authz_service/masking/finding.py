"""A finding: a span of a text that a detector recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`entity` (Presidio's name where it has one) at characters [start, end) of a text.

    `bare` is true where the span is a number or literal of a JSON document within the text, whose
    replacement needs quotes to stay valid JSON.
    """

    entity: str
    start: int
    end: int
    bare: bool = False
