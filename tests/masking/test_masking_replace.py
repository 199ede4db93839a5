"""Findings that overlap become one span, and spans become placeholders."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.masking.replacing import merge, replace

from authz_service.masking.finding import Finding, join_pieces

_findings = st.lists(
    st.builds(
        lambda entity, start, length: Finding(entity, start, start + length),
        st.sampled_from("ABC"),
        st.integers(0, 20),
        st.integers(1, 6),
    )
)


@given(findings=_findings, entities=st.frozensets(st.sampled_from("ABC")))
def test_merged_spans_cover_the_same_characters_and_do_not_overlap(
    findings: list[Finding], entities: frozenset[str]
) -> None:
    merged = merge(findings, entities)
    chosen = [finding for finding in findings if finding.entity in entities]
    assert _covered(merged) == _covered(chosen)
    assert all(earlier.end <= later.start for earlier, later in pairwise(merged))
    assert {finding.start for finding in merged} <= {finding.start for finding in chosen}


def _covered(findings: tuple[Finding, ...] | list[Finding]) -> set[int]:
    return {at for finding in findings for at in range(finding.start, finding.end)}


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([Finding("B", 0, 4), Finding("A", 2, 6)], [Finding("B", 0, 6)]),
        ([Finding("A", 0, 2), Finding("B", 0, 4)], [Finding("B", 0, 4)]),
        ([Finding("B", 0, 4), Finding("A", 0, 4)], [Finding("A", 0, 4)]),
        ([Finding("A", 0, 2), Finding("A", 2, 4)], [Finding("A", 0, 2), Finding("A", 2, 4)]),
        ([Finding("C", 0, 9), Finding("A", 2, 4)], [Finding("A", 2, 4)]),
        ([Finding("A", 0, 9, bare=True), Finding("B", 0, 9, bare=True)], [Finding("A", 0, 9, bare=True)]),
    ],
)
def test_a_merged_span_is_named_after_the_first_then_longest_then_alphabetical(
    findings: list[Finding], expected: list[Finding]
) -> None:
    assert list(merge(findings, {"A", "B"})) == expected


def test_placeholders_stand_where_findings_stood() -> None:
    text = 'é jane {"n": 42}'
    assert replace(text, [Finding("NAME", 2, 6), Finding("N", 13, 15, bare=True)]) == 'é [NAME] {"n": "[N]"}'
    assert replace(text, []) == text


def test_spans_that_overlap_are_not_replaced() -> None:
    with pytest.raises(ValueError, match="overlap"):
        replace("abcdef", [Finding("A", 0, 3), Finding("B", 2, 4)])


def test_pieces_of_a_finding_are_joined_over_the_findings_between_them() -> None:
    steps: list[tuple[tuple[Finding, ...], frozenset[int]]] = [
        ((Finding("KEY", 0, 4),), frozenset()),
        ((Finding("MAIL", 2, 6), Finding("KEY", 4, 8)), frozenset({1})),
    ]
    assert join_pieces(steps) == (Finding("KEY", 0, 8), Finding("MAIL", 2, 6))
