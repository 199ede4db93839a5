"""Finds what was split over the neighbouring items of an array, such as the parts of a message.

A model server joins the parts of a message into one prompt, so half a key in each of two parts is a key.
The items of the outermost array are things of their own (messages, tools, stop words) and not joined,
unless the dialect says that they are parts (see `RequestView.in_parts`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from authz_service.masking.finding import Finding
from authz_service.view.request import TextField, TextKind

Scan = Callable[[str], Sequence[Finding]]
"""All findings of a plain text."""

_Row = tuple[tuple[str | int, ...], tuple[str | int, ...]]
"""The path around the innermost index: what comes before it, and what after."""

_SAID: tuple[tuple[str, ...], ...] = ((), ("text",), ("refusal",), ("thinking",))
"""Where a part has its text, by its type. Model servers join parts of all these types as they come."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a finding that stands in one text; a tail began in a text before.

    `written` is all of it, as the texts have it.
    """

    finding: Finding
    is_tail: bool
    written: str = field(repr=False)


def findings_across(
    texts: Sequence[TextField], scan: Scan, in_parts: Collection[str] = ()
) -> dict[int, list[Share]]:
    """What is found in neighbours joined and crosses from one to the next, by index into `texts`."""
    shares: dict[int, list[Share]] = {}
    for row in _rows(texts, in_parts):
        joined = "".join(texts[i].text for i in row)
        starts = list(accumulate((len(texts[i].text) for i in row), initial=0))
        for finding in scan(joined):
            for at, share in _shared(finding, starts, joined):
                shares.setdefault(row[at], []).append(share)
    return shares


def _rows(texts: Sequence[TextField], in_parts: Collection[str]) -> Iterator[list[int]]:
    rows: dict[_Row, list[int]] = {}
    for i, (path, _, _, kind, _, is_key, is_number) in enumerate(texts):
        if is_key or is_number or kind is TextKind.JSON:
            continue
        types = [*map(type, path)]
        indexes = types.count(int)
        if indexes < 2 and not (indexes and path[0] in in_parts):
            continue
        at = len(path) - 1
        while types[at] is not int:
            at -= 1
        rows.setdefault((path[:at], path[at + 1 :]), []).append(i)
    _join_types(rows, texts)
    return (row for row in rows.values() if len(row) > 1)


def _join_types(rows: dict[_Row, list[int]], texts: Sequence[TextField]) -> None:
    """Make one row of parts of several types, where each has its text in one place alone."""
    said: dict[tuple[str | int, ...], list[_Row]] = {}
    for row in rows:
        if row[1] in _SAID:
            said.setdefault(row[0], []).append(row)
    for around, several in said.items():
        members = sorted(i for row in several for i in rows[row])
        if len(several) > 1 and len({texts[i].path[len(around)] for i in members}) == len(members):
            for row in several:
                del rows[row]
            rows[several[0]] = members


def _shared(finding: Finding, starts: Sequence[int], joined: str) -> Iterator[tuple[int, Share]]:
    """The part of each text that a finding crosses, by place in its row; text n ends where n + 1 starts."""
    at = bisect_right(starts, finding.start) - 1
    if finding.end <= starts[at + 1]:
        return
    written = joined[finding.start : finding.end]
    while starts[at] < finding.end:
        start, end = max(finding.start, starts[at]), min(finding.end, starts[at + 1])
        if start < end:
            here = replace(finding, start=start - starts[at], end=end - starts[at])
            yield at, Share(here, finding.start < starts[at], written)
        at += 1
