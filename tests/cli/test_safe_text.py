"""Other people's text cannot move the cursor, hide, reorder or imitate."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authz_cli.safe_text import MAX_MARKS, safe_line, wrapped

ANY = st.text(st.characters(), max_size=60)
NASTY = st.text(
    st.sampled_from(
        "\x1b\x00\r\n\t\x7f\x85\x9b\u202e\u2066\u200b\u200d\ufeff\u00ad\u061c\u3164\U000e0041<U+␛é\u0301a "
    ),
    max_size=40,
)
BLANK = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}


def original(shown: str) -> str:
    """What a reader concludes from the spelling."""
    text = re.sub("[\u2400-\u2421]", lambda m: "\x7f" if m[0] == "\u2421" else chr(ord(m[0]) - 0x2400), shown)
    return re.sub(r"<U\+([0-9A-F]{4,6})>", lambda m: chr(int(m[1], 16)), text)


@given(ANY | NASTY)
def test_a_safe_line_holds_nothing_that_a_terminal_obeys_or_hides(text: str) -> None:
    shown = safe_line(text)
    assert [char for char in shown if char != " " and unicodedata.category(char) in BLANK] == []


@given(ANY | NASTY)
@example("<U+202E>")
@example("\u241b\x1b")
@example("<<U+0041>")
def test_what_was_there_can_be_told_from_what_is_shown(text: str) -> None:
    assert original(safe_line(text)) == text


@given(
    st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Pd", "Po"], max_codepoint=0x10FF), max_size=60)
)
def test_ordinary_text_of_any_language_is_shown_as_it_is(text: str) -> None:
    if not set(text) & {"\u034f", "\u115f", "\u1160"}:
        assert safe_line(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b[H", "␛[2J␛[H"),
        ("a\rb\nc", "a␍b␊c"),
        ("\x7f\x9b31m", "␡<U+009B>31m"),
        ("user\u202etxt.exe", "user<U+202E>txt.exe"),
        ("\u2066a\u2069", "<U+2066>a<U+2069>"),
        ("pass\u200bword", "pass<U+200B>word"),
        ("\ufeffx", "<U+FEFF>x"),
        ("\U000e0068\U000e0069", "<U+E0068><U+E0069>"),
        ("a\u3164b\u2800c\u00a0d", "a<U+3164>b<U+2800>c<U+00A0>d"),
        ("\u2028\u2029", "<U+2028><U+2029>"),
        ("\ud800", "<U+D800>"),
        ("naïve, Ωμέγα, 日本, 🙂", "naïve, Ωμέγα, 日本, 🙂"),
    ],
)
def test_known_tricks_become_visible(text: str, shown: str) -> None:
    assert safe_line(text) == shown


def test_marks_that_pile_up_over_other_lines_are_spelled_out() -> None:
    shown = safe_line("a" + "\u0301" * (MAX_MARKS + 2))
    assert shown == "a" + "\u0301" * MAX_MARKS + "<U+0301>" * 2


def test_a_mark_without_a_letter_does_not_change_the_one_before_the_text() -> None:
    assert safe_line("\u0338x") == "<U+0338>x"


@given(ANY | NASTY, st.integers(2, 20))
def test_wrapping_loses_nothing_and_no_piece_is_wider_than_asked(text: str, width: int) -> None:
    line = safe_line(text)
    pieces = wrapped(line, width)
    assert "".join(pieces) == line
    for piece in pieces:
        wide = sum(2 for c in piece if unicodedata.east_asian_width(c) in "WF")
        narrow = sum(1 for c in piece if c.isascii())
        assert wide + narrow <= width
