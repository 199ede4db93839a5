"""Streams of plain text: any cut gives the findings of the whole, and little is held back."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Set
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.masking.values import placed

from authz_service.errors import Unreadable
from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.scanner import DetectorScanner
from authz_service.masking.seams import Scanner
from authz_service.masking.stream import MOST_HELD

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]
Cut = Callable[[str, list[int]], list[str]]

_PROSE = (
    "The quick brown fox jumps over the lazy dog, and then, in 2024, some more prose follows: it costs "
    "12.50 or so. Call it `x[::2]`, or `Foo::bar`, if that is what you had in mind at 10:30.\n"
)


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cut_gives_the_findings_of_the_whole(
    data: st.DataObject,
    texts: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    scanners: list[Scanner],
    run: Run,
    pieces: Cut,
) -> None:
    text = data.draw(texts)
    cut = pieces(text, data.draw(cuts))
    for scanner in (scanners[0], data.draw(st.sampled_from(scanners))):
        assert run(scanner.incremental(), cut)[0] == scanner.scan(text)


def test_every_value_is_found_when_split_anywhere(
    entities: dict[str, list[str]], everything: Scanner, run: Run
) -> None:
    for entity, values in entities.items():
        for value in values:
            before, after = placed(entity, value)
            text = before + value + after
            whole = everything.scan(text)
            assert Finding(entity, len(before), len(before) + len(value)) in whole
            for at in range(len(text) + 1):
                assert run(everything.incremental(), [text[:at], text[at:]])[0] == whole


def test_every_value_is_found_one_character_at_a_time(
    entities: dict[str, list[str]], everything: Scanner, run: Run
) -> None:
    text = "; ".join(
        "".join((placed(entity, v)[0], v, placed(entity, v)[1]))
        for entity in entities
        for v in entities[entity]
    )
    assert run(everything.incremental(), list(text))[0] == everything.scan(text)
    assert {finding.entity for finding in everything.scan(text)} >= set(entities)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_client_receives_the_masking_of_the_whole(
    data: st.DataObject,
    texts: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    released: Callable[..., list[str]],
    pieces: Cut,
) -> None:
    text = data.draw(texts)
    masked = list(text)
    for finding in everything.scan(text):
        masked[finding.start : finding.end] = "*" * (finding.end - finding.start)
    received = released(everything.incremental(), pieces(text, data.draw(cuts)))
    assert "".join(received) == "".join(masked)


class _HoldsBackTooLittle(PatternDetector):
    def live(self, window: bytes, at: int) -> int:
        return min(super().live(window, at) + 1, len(window))


class _LetsOneCharacterGo(DetectorScanner):
    def live(self, window: bytes, at: int, apart: Set[int] = frozenset()) -> int:
        return min(super().live(window, at, apart) + 1, len(window))


@pytest.mark.parametrize("kind", ["the step of a detector", "the search over all detectors"])
def test_a_masker_that_holds_back_one_character_too_few_is_noticed(
    kind: str, entities: dict[str, list[str]], run: Run
) -> None:
    pattern = r"\b\d{3}-\d{2}-\d{4}\b"
    broken: Any = (
        DetectorScanner([_HoldsBackTooLittle("US_SSN", pattern)])
        if kind.startswith("the step")
        else _LetsOneCharacterGo([PatternDetector("US_SSN", pattern)])
    )
    sound = DetectorScanner([PatternDetector("US_SSN", pattern)])
    text = " ".join(["536-22-87261", *entities["US_SSN"], "536-22-87261"])
    assert run(sound.incremental(), list(text))[0] == sound.scan(text)
    with pytest.raises(AssertionError):
        assert run(broken.incremental(), list(text))[0] == sound.scan(text)


def test_a_private_key_of_any_length_goes_out_as_a_placeholder_at_once() -> None:
    stream = build_scanner().incremental()
    stream.feed("Here: -----BEGIN PRIVATE KEY-----")
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC+/ABCDEFGHIJKLMNOPQRSTUVWXYZabcd\n"
    for _ in range(2_000):
        step = stream.feed(body)
        assert [finding.entity for finding in step.findings] == ["PRIVATE_KEY"]
        assert step.more == {0}
    step = stream.feed("-----END PRIVATE KEY----- and on\n")
    length = len("Here: -----BEGIN PRIVATE KEY-----") + 2_000 * len(body)
    assert step.findings[-1].end == length + len("-----END PRIVATE KEY-----")
    assert step.settled == length + len("-----END PRIVATE KEY----- and on\n")


def test_a_private_key_without_an_end_reaches_to_the_end_of_the_text(everything: Scanner, run: Run) -> None:
    text = "a -----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXk\\n-----END OPENSSH PRIVATE"
    assert everything.scan(text) == (Finding("PRIVATE_KEY", 2, len(text)),)
    assert run(everything.incremental(), list(text))[0] == everything.scan(text)


def test_prose_is_held_back_by_a_word_at_most() -> None:
    text = _PROSE * 20
    words = [word + " " for word in text.split(" ")]

    def held_back(scanner: Scanner) -> list[int]:
        stream = scanner.incremental()
        length = 0
        held = []
        for word in words:
            length += len(word)
            held.append(length - stream.feed(word).settled)
        return held

    assert statistics.median(held_back(build_scanner())) == 0
    assert max(held_back(build_scanner())) <= 12


def test_text_that_stays_alive_is_refused_beyond_the_limit(everything: Scanner) -> None:
    stream = everything.incremental()
    stream.feed("eyJ" + "a" * (MOST_HELD - 3))
    with pytest.raises(Unreadable) as refused:
        stream.feed("a")
    assert refused.value.code == "buffer_overflow"


def test_a_long_piece_that_settles_is_no_overflow(everything: Scanner) -> None:
    stream = everything.incremental()
    text = "eyJ" + "a" * (2 * MOST_HELD) + " "
    assert stream.feed(text).settled == len(text)


def test_a_prefix_kept_alive_is_not_searched_again_for_each_character() -> None:
    class Counting(DetectorScanner):
        searched = 0

        def live(self, window: bytes, at: int, apart: Set[int] = frozenset()) -> int:
            self.searched += len(window)
            return super().live(window, at, apart)

    scanner = Counting([PatternDetector("TOKEN", "eyJ[a-z]+[0-9]")])
    stream = scanner.incremental()
    length = 30_000
    for char in "eyJ" + "a" * length:
        stream.feed(char)
    assert scanner.searched < 60 * length
    found = Finding("TOKEN", 0, length + 4)
    assert found in stream.feed("1" + " " * length).findings


def test_a_pattern_that_makes_others_backtrack_runs_in_linear_time(run: Run) -> None:
    scanner = build_scanner([], [("NESTED", r"(?:a|aa)+b"), ("WORSE", r"(?:x+x+)+y")])
    text = "a" * 4_000 + "x" * 4_000
    assert run(scanner.incremental(), list(text))[0] == ()
    assert scanner.scan(text * 50) == ()


def test_two_megabytes_are_cut_like_any_text(everything: Scanner, run: Run) -> None:
    value = "jane@example.com"
    text = _PROSE * 6_000 + value + " \u00e9" + _PROSE * 5_000
    assert len(text) > 2_000_000
    found = everything.scan(text)
    assert found == (Finding("EMAIL_ADDRESS", len(_PROSE) * 6_000, len(_PROSE) * 6_000 + len(value)),)
    cuts = [text[i : i + 997] for i in range(0, len(text), 997)]
    assert run(everything.incremental(), cuts)[0] == found


def test_offsets_count_characters_and_not_bytes(everything: Scanner, run: Run) -> None:
    text = "é😀 jane@example.com 😀 10.0.0.1"
    expected = (Finding("EMAIL_ADDRESS", 3, 19), Finding("IP_ADDRESS", 22, 30))
    assert everything.scan(text) == expected
    assert run(everything.incremental(), list(text))[0] == expected


def test_a_lone_surrogate_is_refused(everything: Scanner) -> None:
    for attempt in (everything.scan, everything.incremental().feed):
        with pytest.raises(Unreadable) as refused:
            attempt("a\ud83d")
        assert refused.value.code == "lone_surrogate"


def test_what_stands_before_a_cut_still_counts(everything: Scanner, run: Run) -> None:
    generator = random.Random(7)
    for text in (
        "x4 1536-22-8726",
        "0.4111111111111111",
        "a\nID: abc\nb",
        "12001:db8::1",
        "ab:cd:2001:db8::1 .",
    ):
        for _ in range(40):
            at = sorted(generator.choices(range(len(text) + 1), k=3))
            cut = [text[: at[0]], text[at[0] : at[1]], text[at[1] : at[2]], text[at[2] :]]
            assert run(everything.incremental(), cut)[0] == everything.scan(text)
