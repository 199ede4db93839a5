"""Pseudonyms tell people apart without naming them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.keys.pseudonym import Pseudonyms

IDENTITIES = st.tuples(st.text(), st.text())
KEY = b"k" * 32


@given(IDENTITIES, IDENTITIES)
def test_two_people_have_two_pseudonyms_and_one_person_has_one(
    a: tuple[str, str], b: tuple[str, str]
) -> None:
    pseudonyms = Pseudonyms(KEY)
    assert (pseudonyms.of(a) == pseudonyms.of(b)) == (a == b)


def test_a_name_cut_at_another_place_is_another_person() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert (
        len({pseudonyms.of(identity) for identity in [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")]})
        == 4
    )


def test_another_key_gives_other_pseudonyms() -> None:
    assert Pseudonyms(KEY).of(("i", "s")) != Pseudonyms(b"l" * 32).of(("i", "s"))


def test_a_pseudonym_does_not_show_the_name() -> None:
    pseudonym = Pseudonyms(KEY).of(("urn:issuer", "alice"))
    assert len(bytes.fromhex(pseudonym)) == 16


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")
