"""Finds what was split over the neighbouring items of an array, such as the parts of a message.

A model server joins the parts of a message into one prompt, so half a key in each of two parts is a key.
The items of the outermost array are things of their own (messages, tools, stop words) and not joined,
unless the dialect says that they are parts (see `RequestView.in_parts`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, combinations

from authz_service.masking.finding import Finding
from authz_service.view.request import TextField, TextKind

Scan = Callable[[str], Sequence[Finding]]
"""All findings of a plain text."""

_Row = tuple[tuple[str | int, ...], tuple[str | int, ...]]
"""The path around the innermost index: what comes before it, and what after."""

_SAID: tuple[tuple[str, ...], ...] = ((), ("text",), ("refusal",), ("thinking",))
"""Where a part has its text, by its type. Which of these types a model server joins is not known here."""


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
    """What is found in neighbours joined and crosses from one to the next, by index into `texts`.

    What several readings of a list find in the same place is one share, as the longest of them has it.
    """
    shares: dict[int, dict[tuple[Finding, bool], Share]] = {}
    for row in rows(texts, in_parts):
        joined = "".join(texts[i].text for i in row)
        starts = list(accumulate((len(texts[i].text) for i in row), initial=0))
        for finding in scan(joined):
            for at, share in _shared(finding, starts, joined):
                shares.setdefault(row[at], {})[share.finding, share.is_tail] = share
    return {i: [*different.values()] for i, different in shares.items()}


def rows(texts: Sequence[TextField], in_parts: Collection[str] = ()) -> Iterator[list[int]]:
    """Which texts are read joined, in their order, by index into `texts`; one may be in several rows."""
    by_place: dict[_Row, list[int]] = {}
    for i, (path, text, _, kind, _, is_key, is_number) in enumerate(texts):
        if is_key or is_number or kind is TextKind.JSON or not text:
            continue
        types = [*map(type, path)]
        indexes = types.count(int)
        if indexes < 2 and not (indexes and path[0] in in_parts):
            continue
        at = len(path) - 1
        while types[at] is not int:
            at -= 1
        by_place.setdefault((path[:at], path[at + 1 :]), []).append(i)
    yield from (row for row in by_place.values() if len(row) > 1)
    if len(by_place) > 1:
        yield from (row for row in _of_several_types(by_place, texts) if len(row) > 1)


def _of_several_types(by_place: Mapping[_Row, list[int]], texts: Sequence[TextField]) -> Iterator[list[int]]:
    """The rows of parts of two types or more, for each choice of types; longer ones come later.

    A server may join parts of all types as they come, or tell thoughts apart and join what is around them.
    """
    said: dict[tuple[str | int, ...], list[list[int]]] = {}
    for (before, after), row in by_place.items():
        if after in _SAID:
            said.setdefault(before, []).append(row)
    for before, types in said.items():
        for count in range(2, len(types) + 1):
            for chosen in combinations(types, count):
                yield _in_order(chosen, texts, len(before))


def _in_order(chosen: Sequence[list[int]], texts: Sequence[TextField], at: int) -> list[int]:
    """Several rows as one. `at` is where paths have the index of the item.

    An item with two of the texts is left out: nobody could say which of them goes on with the next.
    """
    members = sorted(i for row in chosen for i in row)
    said_by = Counter(texts[i].path[at] for i in members)
    return [i for i in members if said_by[texts[i].path[at]] == 1]


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
