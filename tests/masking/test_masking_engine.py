"""The gate before the detectors never answers "nothing" for want of memory."""

from __future__ import annotations

import pytest

from authz_service.errors import Misconfigured
from authz_service.masking.detectors import build_scanner
from authz_service.masking.engine import Gate, Prefixes, compile_prefixes
from authz_service.masking.family import Family
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.scanner import DetectorScanner


def _out_of_memory(_text: bytes) -> list[int]:
    """RE2's set when its automaton finds no memory: no match, and no error."""
    return []


def test_a_gate_says_which_patterns_occur() -> None:
    gate = Gate(["a", "b+", r"\Ac"])
    assert gate.hits(b"xbbx") == {1}
    assert gate.hits(b"cab") == {0, 1, 2}
    assert gate.hits(b"") == frozenset()


def test_a_gate_without_memory_lets_every_detector_look(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(["a", "b"])
    monkeypatch.setattr(gate, "match", _out_of_memory)
    assert gate.hits(b"zzz") == {0, 1}


def test_a_set_of_detectors_finds_what_a_gate_without_memory_did_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detectors = [PatternDetector("NUMBER", "[0-9]+")]
    family = Family(list(enumerate(detectors)))
    monkeypatch.setattr(family.gate, "match", _out_of_memory)
    assert [found.entity for found in DetectorScanner(detectors, [family]).scan("a 12 b")] == ["NUMBER"]


@pytest.mark.parametrize(
    ("text", "pos", "first"), [("xaab", 0, 1), ("xaab", 2, 2), ("xabc", 0, 3), ("xc", 0, 1), ("", 0, 0)]
)
def test_of_several_prefixes_the_first_counts(text: str, pos: int, first: int) -> None:
    prefixes = Prefixes([compile_prefixes("c"), compile_prefixes("a+b?")])
    assert prefixes.first(text.encode(), pos) == first
    assert Prefixes([]).first(text.encode(), pos) == len(text)


def test_patterns_that_are_too_large_together_are_refused_when_loaded() -> None:
    custom = [(f"WORDS_{number}", rf"{number}\pL{{1,60}}-\pL{{1,60}}") for number in range(4)]
    with pytest.raises(Misconfigured) as refused:
        build_scanner([], custom)
    assert refused.value.code == "bad_detectors"
