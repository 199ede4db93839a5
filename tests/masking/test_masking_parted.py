"""Of a text in parts what stands in a part is found, and what stands in the parts joined, for any cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.parted import PartedStream
from authz_service.masking.seams import IncrementalScanner, Progress, Scanner

_CARDS = build_scanner(["CREDIT_CARD", "EMAIL_ADDRESS"])
Cut = Callable[[str, list[int]], list[str]]


def streamed(scanner: Scanner, parts: Sequence[Sequence[str]]) -> tuple[Finding, ...]:
    """What is found in parts that come in pieces; on the way the promises of a stream are checked."""
    stream: IncrementalScanner = scanner.incremental()
    steps: list[Progress] = []
    length = settled = 0

    def take(step: Progress) -> None:
        nonlocal settled
        assert settled <= step.settled <= length
        assert all(
            i in step.more or settled <= finding.start < step.settled
            for i, finding in enumerate(step.findings)
        )
        settled = step.settled
        steps.append(step)

    for n, part in enumerate(parts):
        if n:
            if not isinstance(stream, PartedStream):
                stream = PartedStream(scanner, stream, length=length, settled=settled)
            take(stream.next_part())
        for piece in part:
            length += len(piece)
            take(stream.feed(piece))
    take(stream.finish())
    assert settled == length
    return join_pieces((step.findings, step.more) for step in steps)


def covered(findings: Sequence[Finding], shift: int = 0) -> set[tuple[str, int]]:
    """The characters of each entity type."""
    return {(f.entity, at + shift) for f in findings for at in range(f.start, f.end)}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["Pay with 4111 1111", " 1111 1111 now."], [("CREDIT_CARD", 9, 28)]),
        (["4111 ", "1111 ", "1111 ", "1111"], [("CREDIT_CARD", 0, 19)]),
        (["x", "4111 1111 1111 1111"], [("CREDIT_CARD", 1, 20)]),
        (["4111 1111 1111 1111", "5"], [("CREDIT_CARD", 0, 19)]),
        (["jane@exam", "ple.com"], [("EMAIL_ADDRESS", 0, 16)]),
        (["jane@example.co", "m!"], [("EMAIL_ADDRESS", 0, 16)]),
        (["4111 1111", "4111 1111 1111 1111"], [("CREDIT_CARD", 9, 28)]),
        (["no", "thing"], []),
    ],
)
def test_values_are_found_within_parts_and_across_them(
    parts: list[str], expected: list[tuple[str, int, int]]
) -> None:
    found = [Finding(*finding) for finding in expected]
    for size in (1, 3, 100):
        cut = [[part[at : at + size] for at in range(0, len(part), size)] for part in parts]
        assert list(streamed(_CARDS, cut)) == found


def test_a_key_goes_on_from_part_to_part() -> None:
    scanner = build_scanner(["PRIVATE_KEY"])
    parts = ["a -----BEGIN PRIVATE KEY-----\nMC4C", "AQAwBQ", "YD\n-----END PRIVATE KEY----- b"]
    (found,) = streamed(scanner, [list(part) for part in parts])
    assert (found.start, found.end) == (2, len("".join(parts)) - 2)


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_of_any_parts_gives_what_the_parts_and_the_whole_have(
    data: st.DataObject,
    texts: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    pieces: Cut,
) -> None:
    parts = data.draw(st.lists(texts, min_size=2, max_size=3))
    found = streamed(everything, [pieces(part, data.draw(cuts)) for part in parts])
    expected = covered(everything.scan("".join(parts)))
    at = 0
    for part in parts:
        expected |= covered(everything.scan(part), at)
        at += len(part)
    assert covered(found) == expected
    assert found == streamed(everything, [[part] for part in parts])
