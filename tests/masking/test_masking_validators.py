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
