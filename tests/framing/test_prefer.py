"""`Prefer` as RFC 7240 has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.framing.prefer import LONGEST_WAIT, NOTHING_PREFERRED, Prefer, read_prefer


@pytest.mark.parametrize(
    ("header", "wait", "is_async"),
    [
        ("wait=30", 30, False),
        ("respond-async", None, True),
        ("Respond-Async, WAIT=10", 10, True),
        ('wait="10"', 10, False),
        ("wait = 10 ; strict", 10, False),
        ("wait=0", 0, False),
        ("wait=5, wait=6", 5, False),
        ("wait=later, wait=6", None, False),
        ('foo="a, wait=7", respond-async', None, True),
        ('foo="a, wait=7', None, False),
        ("return=minimal", None, False),
        ("wait=-1", None, False),
        ("wait=1.5", None, False),
        ("wait=٣", None, False),
        ("respond-asynchronously", None, False),
        ("wait=999999", LONGEST_WAIT, False),
        ("", None, False),
    ],
)
def test_a_preference_counts_as_it_is_stated_first_and_what_is_unknown_is_ignored(
    header: str, wait: int | None, is_async: bool
) -> None:
    assert read_prefer(header) == Prefer(wait, is_async)


def test_what_was_applied_is_said_in_the_words_of_the_header() -> None:
    assert read_prefer("wait=7200, respond-async").applied == f"respond-async, wait={LONGEST_WAIT}"
    assert NOTHING_PREFERRED.applied == ""


@given(st.text(max_size=2000))
def test_any_header_is_read_without_an_error(header: str) -> None:
    prefer = read_prefer(header)
    assert prefer.wait is None or 0 <= prefer.wait <= LONGEST_WAIT
