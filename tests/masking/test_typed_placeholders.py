"""What looks like a placeholder is found beside values, in a stream as in a whole text."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.placeholders import TYPED, WithTyped

SCANNER = WithTyped(build_scanner(["EMAIL_ADDRESS", "PRIVATE_KEY"]), ["EMAIL_ADDRESS"])
KEY = "-----BEGIN PRIVATE KEY-----\nMII<EMAIL_ADDRESS_2>\n-----END PRIVATE KEY-----"
PIECES = st.sampled_from(
    ["ann@b.example", "<EMAIL_ADDRESS_1>", "<EMAIL_", "<PLACEHOLDER_3>", " ", "<b>", KEY, "x"]
)


def places(found: tuple[Finding, ...]) -> list[tuple[str, int, int]]:
    return sorted((finding.entity, finding.start, finding.end) for finding in found)


@given(st.lists(PIECES, max_size=8).map("".join), st.lists(st.integers(0, 300), max_size=6))
def test_any_cut_gives_the_findings_of_the_whole(text: str, cuts: list[int]) -> None:
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    stream = SCANNER.incremental()
    steps = [stream.feed(text[start:end]) for start, end in pairwise(at)]
    steps.append(stream.finish())
    settled = 0
    for step in steps:
        assert all(f.start >= settled or i in step.more for i, f in enumerate(step.findings))
        assert all(f.start < step.settled for f in step.findings)
        settled = step.settled
    assert settled == len(text)
    found = join_pieces((step.findings, step.more) for step in steps)
    assert places(found) == places(SCANNER.scan(text))


def test_both_are_found() -> None:
    found = SCANNER.scan("ann@b.example <EMAIL_ADDRESS_1>")
    assert [finding.entity for finding in found] == ["EMAIL_ADDRESS", TYPED]
