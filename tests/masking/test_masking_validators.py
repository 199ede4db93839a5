"""Checksums agree with python-stdnum, and lengths of IBANs with its registry."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn, numdb

from authz_service.masking import validators


@given(digits=st.text(alphabet="0123456789", min_size=1, max_size=19))
def test_luhn_is_the_formula_of_everybody(digits: str) -> None:
    assert validators.is_luhn(bytes(map(int, digits))) == luhn.is_valid(digits)


def test_ibans_are_as_long_as_the_registry_says() -> None:
    registry = numdb.get("iban")
    for country, length in validators.IBAN_LENGTHS.items():
        structure = registry.info(country)[0][1]["bban"]
        assert length == 4 + sum(map(int, re.findall(r"(\d+)!?[nac]", structure))), country


def _card_ends(text: bytes, start: int, end: int) -> list[int]:
    """Where a card that begins at `start` may end, by the definition of `card`, digit by digit."""
    ends, digits, group = [], 0, 0
    for at in range(start, end):
        if text[at : at + 1].isdigit():
            digits, group = digits + 1, group + 1
            if not text[at + 1 : at + 2].isdigit():
                ends += [at + 1] if digits >= 13 else []
                if group < 3:
                    break
                group = 0
    return ends


@given(
    groups=st.lists(st.text(alphabet="0123456789", min_size=1, max_size=8), min_size=1, max_size=6),
    gap=st.sampled_from(["", " ", "-"]),
    more=st.sampled_from(["", "7", " ", "."]),
    shortened=st.integers(0, 4),
)
def test_a_card_is_the_longest_that_luhn_accepts(
    groups: list[str], gap: str, more: str, shortened: int
) -> None:
    groups[0] = f"4{groups[0]}00"
    said = gap.join(groups)
    text, end = (said + more).encode(), max(3, len(said) - shortened)
    valid = [
        stop
        for stop in _card_ends(text, 0, end)
        if luhn.is_valid("".join(c for c in text[:stop].decode() if c.isdigit()))
    ]
    assert validators.card(text, 0, end).end == (max(valid) if valid else None)
