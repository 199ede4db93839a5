"""Ids are unique and sort in the order of their making."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.keys.ids import ALPHABET, LENGTH, encode, milliseconds_of, new_id

TIMES = st.integers(0, (1 << 48) - 1)
RANDOMNESS = st.binary(min_size=16, max_size=16)


def _decode(identifier: str) -> int:
    number = 0
    for digit in identifier.partition("_")[2]:
        number = number * 32 + ALPHABET.index(digit)
    return number


@given(TIMES, RANDOMNESS)
def test_an_id_carries_all_of_its_time_and_five_bits_of_each_random_byte(
    milliseconds: int, randomness: bytes
) -> None:
    identifier = encode("ses", milliseconds=milliseconds, randomness=randomness)
    assert len(identifier) == len("ses_") + LENGTH
    time, digits = divmod(_decode(identifier), 1 << 80)
    assert time == milliseconds == milliseconds_of(identifier)
    assert [digits >> shift & 31 for shift in range(75, -1, -5)] == [byte & 31 for byte in randomness]


@given(TIMES, TIMES, RANDOMNESS, RANDOMNESS)
def test_the_order_of_ids_as_text_is_that_of_their_times(a: int, b: int, x: bytes, y: bytes) -> None:
    first, second = (encode("ses", milliseconds=t, randomness=r) for t, r in ((a, x), (b, y)))
    if a != b:
        assert (first < second) == (a < b)


def test_ids_made_at_once_are_all_different() -> None:
    assert len({new_id("hold") for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("milliseconds", "randomness"), [(-1, bytes(16)), (1 << 48, bytes(16)), (0, bytes(15))]
)
def test_what_does_not_fit_is_an_error(milliseconds: int, randomness: bytes) -> None:
    with pytest.raises(ValueError, match="80 bits"):
        encode("ses", milliseconds=milliseconds, randomness=randomness)
