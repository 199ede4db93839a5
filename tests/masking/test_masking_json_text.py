"""The JSON reader agrees with Python's on what documents and strings say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.masking.grammar import is_scalar
from authz_service.masking.json_text import DecodedString, Incomplete, NoEscape, read_escape


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])), cut=st.integers(0, 200), ascii_only=st.booleans()
)
def test_a_string_decodes_to_what_it_says_and_back_to_where_it_stood(
    text: str, cut: int, ascii_only: bool
) -> None:
    source = json.dumps(text, ensure_ascii=ascii_only)[1:]
    string = DecodedString(100)
    first = string.decode(source[:cut], 0, origin=100)
    second = string.decode(source[first.end :], 0, origin=100 + first.end)
    decoded = first.text + second.text
    assert decoded == text
    assert first.is_closed or second.is_closed
    for at, char in enumerate(text):
        piece = source[string.source(at) - 100 : string.source(at + 1) - 100]
        assert json.loads(f'"{piece}"') == char


@pytest.mark.parametrize("text", ["\\", "\\u", "\\u00", "\\ud83d", "\\ud83d\\", "\\ud83d\\ude"])
def test_an_escape_that_is_cut_waits(text: str) -> None:
    with pytest.raises(Incomplete):
        read_escape(text, 0)


@pytest.mark.parametrize("text", ["\\q", "\\u00g", "\\uu", "\\x41"])
def test_a_backslash_before_anything_else_is_no_escape(text: str) -> None:
    with pytest.raises(NoEscape):
        read_escape(text, 0)


@given(token=st.text(alphabet="-+.eE0123456789", max_size=8))
def test_numbers_are_those_of_json(token: str) -> None:
    try:
        json.loads(token)
    except ValueError:
        assert not is_scalar(token)
    else:
        assert is_scalar(token)


def test_literals_are_scalars_and_other_words_are_not() -> None:
    assert all(map(is_scalar, ("true", "false", "null")))
    assert not any(map(is_scalar, ("True", "nul", "NaN", "Infinity", "", "-", "0x1", "\u0661")))
