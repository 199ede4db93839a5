"""Overlapping findings become one span, the same however they were reported."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.spans import Cut, Span, SpanMerger, cut, mask
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Progress

TEXT = "abcdefghijklmnopqrst"
BOTH = frozenset({"A", "B"})
findings = st.lists(
    st.builds(
        lambda entity, start, length: Finding(entity, start, min(start + length, len(TEXT))),
        st.sampled_from(["A", "B", "C"]),
        st.integers(0, len(TEXT) - 1),
        st.integers(1, 8),
    ),
    max_size=6,
    unique=True,
)


def merged(found: list[Finding], entities: frozenset[str] = BOTH) -> list[Span]:
    return SpanMerger(entities).take(Progress(tuple(found), len(TEXT)))


@given(findings)
def test_the_masking_is_the_union_of_what_was_found(kit: Any, found: list[Finding]) -> None:
    assert mask(TEXT, merged(found)) == kit.masked_text(TEXT, found, BOTH)


@given(findings, st.data())
def test_spans_decided_step_by_step_are_those_of_the_whole(found: list[Finding], data: st.DataObject) -> None:
    merger = SpanMerger(BOTH)
    spans: list[Span] = []
    waiting = sorted(found, key=lambda f: f.start)
    settled = 0
    while settled < len(TEXT):
        settled = data.draw(st.integers(settled + 1, len(TEXT)))
        due = [f for f in waiting if f.start < settled or data.draw(st.booleans())]
        waiting = [f for f in waiting if f not in due]
        before = merger.decided
        decided = merger.take(Progress(tuple(data.draw(st.permutations(due))), settled))
        assert all(before <= s.start and s.end <= merger.decided for s in decided)
        spans += decided
    assert mask(TEXT, spans) == mask(TEXT, merged(found))


@given(findings, st.integers(0, 19), st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_a_finding_in_pieces_is_one_span(found: list[Finding], start: int, lengths: list[int]) -> None:
    ends = [min(start + sum(lengths[: i + 1]), len(TEXT)) for i in range(len(lengths))]
    found = [f for f in found if f.entity != "A" or f.start != start]
    whole = [*found, Finding("A", start, ends[-1])]
    merger = SpanMerger(BOTH)
    spans: list[Span] = []
    begin = 0
    for i, end in enumerate(ends):
        piece = Finding("A", ends[i - 1] if i else start, end)
        others = tuple(f for f in found if begin <= f.start < end)
        spans += merger.take(Progress((piece, *others), end, frozenset({0} if i else ())))
        begin = end
    spans += merger.take(Progress(tuple(f for f in found if f.start >= begin), len(TEXT)))
    assert mask(TEXT, spans) == mask(TEXT, merged(whole))


def test_a_bare_finding_keeps_its_quotes_out_of_the_text() -> None:
    assert (
        mask('{"a":1234}', SpanMerger(BOTH).take(Progress((Finding("A", 5, 9, bare=True),), 10)))
        == '{"a":"[A]"}'
    )


def test_findings_that_only_touch_stay_two() -> None:
    assert mask(TEXT, merged([Finding("A", 0, 4), Finding("B", 4, 20)])) == "[A][B]"


def test_cuts_are_made_in_order() -> None:
    assert cut("abcdef", [Cut(0, 1, "X"), Cut(2, 2, "Y"), Cut(4, 6, "")]) == "XbYcd"


def test_a_finding_that_begins_where_the_text_is_settled_waits_for_others_that_may_begin_there() -> None:
    merger = SpanMerger(BOTH)
    assert merger.take(Progress((Finding("B", 2, 4),), 2)) == []
    assert merger.take(Progress((Finding("A", 2, 3),), 4)) == [
        Span(2, 3, "A", "[A]"),
        Span(3, 4, "B", "", False),
    ]
