"""The prefix language: every beginning of a match is alive, and what is refused says why."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.masking.engine import compile_prefixes, compile_regex
from authz_service.masking.finding import Finding
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.prefix import check_pattern, prefix_pattern, whole_pattern
from authz_service.masking.scanner import DetectorScanner
from authz_service.masking.syntax import PatternError, parse

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]

_ATOMS = [
    "a",
    "b",
    "é",
    ".",
    "[ab]",
    "[^a]",
    r"\d",
    r"\w",
    r"\W",
    "1",
    " ",
    r"\pL",
    r"\x61",
    r"\Qa.\E",
    r"\n",
]
_ASSERTIONS = [r"\b", r"\B", "^", "$", r"\A", r"\z", "(?m)^", "(?m)$"]
_COUNTS = ["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}", "*?", "+?", "??", "{1,2}?"]
_GROUPS = ["(?:{})", "({})", "(?P<n>{})", "(?i:{})", "(?s:{})", "(?i)(?:{})", "(?:(?s){})"]

_patterns = st.recursive(
    st.sampled_from(_ATOMS) | st.sampled_from(_ASSERTIONS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.builds("{}|{}".format, inner, inner).map("(?:{})".format),
        st.builds(
            lambda group, item: group.format(item.replace("(?P<n>", "(")), st.sampled_from(_GROUPS), inner
        ),
        st.builds("(?:{}){}".format, inner, st.sampled_from(_COUNTS)),
    ),
    max_leaves=8,
)
_texts = st.text(alphabet="aab1 é\nA.", max_size=12)
_MANY = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _is_detector(pattern: str) -> bool:
    try:
        check_pattern(pattern)
    except PatternError:
        return False
    return True


_detectors = _patterns.filter(_is_detector)


@given(pattern=_detectors, text=_texts)
@_MANY
def test_a_parsed_pattern_matches_what_it_matched(pattern: str, text: str) -> None:
    data = text.encode()
    written = whole_pattern(parse(pattern))
    again = compile_regex(written)
    lazy_or_not = [(m.start(), m.end()) for m in re2.finditer(pattern.encode(), data)]
    if "?" not in pattern.replace("(?", ""):
        assert [(m.start(), m.end()) for m in re2.finditer(written.encode(), data)] == lazy_or_not
    assert (again.search(data) is not None) == bool(lazy_or_not)


@given(pattern=_detectors, text=_texts)
@_MANY
def test_every_beginning_of_a_match_is_alive(pattern: str, text: str) -> None:
    prefixes = compile_prefixes(prefix_pattern(pattern))
    for start, end in ((m.start(), m.end()) for m in re2.finditer(pattern, text)):
        for cut in range(start, end + 1):
            at = len(text[:start].encode())
            live = prefixes.search(text[:cut].encode(), at)
            assert live is not None
            assert live[0] == at


@given(pattern=_detectors, text=_texts, data=st.data())
@_MANY
def test_any_pattern_finds_the_same_for_any_cut(
    pattern: str, text: str, data: st.DataObject, run: Run
) -> None:
    scanner = DetectorScanner([PatternDetector("X", pattern)])
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert run(scanner.incremental(), pieces)[0] == scanner.scan(text)
    assert run(scanner.incremental(), list(text))[0] == scanner.scan(text)


@pytest.mark.parametrize(
    ("pattern", "text", "held"),
    [
        (r"E-\d{6}", "an E-123", 5),
        (r"E-\d{6}", "an E-123x", 0),
        (r"E-\d{6}", "an E-1234567", 0),
        (r"\bcat\b", "concat", 0),
        (r"\bcat\b", "con cat", 3),
        (r"(?i)secret", "SEC", 3),
        (r"(?s)<<.*>>", "a<<b\nc", 5),
        (r"<<.*>>", "a<<b\nc", 0),
        (r"^ID", "x\nI", 0),
        (r"(?m)^ID", "x\nI", 1),
        (r"ab|b[^c]*c", "abb", 1),
    ],
)
def test_what_is_held_back_is_what_could_still_match(pattern: str, text: str, held: int) -> None:
    step = DetectorScanner([PatternDetector("X", pattern)]).incremental().feed(text)
    assert len(text) - step.settled == held


@pytest.mark.parametrize(
    ("pattern", "says", "position"),
    [
        ("(?=a)b", "lookahead", 0),
        ("x(?<!a)b", "lookbehind", 1),
        (r"(a)\1", "backreferences", 3),
        ("a**", "bad repetition operator", 1),
        ("a{1001}", "invalid repetition size", 1),
        ("[abc", "missing ]", 0),
        ("x)", "unexpected )", 0),
        ("a*", "empty text", 0),
        (r"\b", "empty text", 0),
        ("", "empty text", 0),
        ("(?:|a)", "empty text", 0),
        (r"ab\C", "byte", 2),
        ("(" * 70 + "a" + ")" * 70, "nested", 61),
        ("a" * 2_001, "longer than", 2_000),
        ("a" * 1_000, "pieces", 901),
        ("a\ud800", "Unicode", 1),
    ],
)
def test_a_pattern_that_cannot_serve_is_refused_with_its_place(
    pattern: str, says: str, position: int
) -> None:
    with pytest.raises(PatternError, match=re.escape(says)) as refused:
        check_pattern(pattern)
    assert refused.value.position == position
    assert f"(at character {position + 1})" in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[]a]{2,}?x",
        r"[[:alpha:]\]\x{1F600}]z",
        r"x{,5}{",
        r"\x41\101\x{263a}\t\.",
        r"(?P<name>a)(?<other>b)",
        r"(?i-s:A.)b",
        r"\p{Greek}\PL\pN\Q**\E+",
        "a|b|",
    ],
)
def test_the_syntax_of_re2_is_understood(pattern: str) -> None:
    if pattern.endswith("|"):
        pattern = f"x(?:{pattern})"
    check_pattern(pattern)
    assert re2.compile(whole_pattern(parse(pattern))) is not None
