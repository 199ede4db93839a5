"""A plan may say no only where the library does: whatever is a number is found."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberFormat, PhoneNumberType

from authz_service.masking import numbering_plans
from authz_service.masking.numbering_plans import NationalPlans, digits_of, may_be_international
from authz_service.masking.phone_numbers import _REGIONS

PLANS = NationalPlans(_REGIONS)
FORMATS = (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164)
digits = st.text("0123456789", min_size=0, max_size=15)
codes = st.sampled_from(sorted(COUNTRY_CODE_TO_REGION_CODE)).map(str)


@st.composite
def likely(draw: st.DrawFn) -> str:
    """A number of some country's, as it may be written, with something before it or another digit in it."""
    region = draw(st.sampled_from([*_REGIONS, *sorted(phonenumbers.SUPPORTED_REGIONS)]))
    kind = draw(st.sampled_from(PhoneNumberType.values()))
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert example is not None
    shown = phonenumbers.format_number(example, draw(st.sampled_from(FORMATS))).lstrip("+")
    at = draw(st.integers(0, len(shown) - 1))
    shown = shown[:at] + draw(st.sampled_from([shown[at], *"0159"])) + shown[at + 1 :]
    before = draw(
        st.sampled_from(["", "", "0", "1", "00", "011", "0011", "0 15 ", str(example.country_code)])
    )
    return f"{before}{shown}"


prefixed = st.builds("".join, st.tuples(st.sampled_from(["", "0", "00", "011", "90 21 "]), codes, digits))
written = st.one_of(likely(), prefixed, digits)


def is_valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def finds_all(number: str) -> None:
    found = PLANS.regions(digits_of(number.encode()))
    assert any(is_valid(number, r) for r in _REGIONS) == any(is_valid(number, r) for r in found)
    assert may_be_international(digits_of(number.encode())) or not is_valid(f"+{number}", None)


@settings(deadline=None, max_examples=1500)
@given(written)
def test_every_number_that_the_library_takes_may_be_one_by_its_plan(number: str) -> None:
    finds_all(number)


def test_so_may_an_example_of_every_kind_of_every_region_and_code() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in PhoneNumberType.values():
            if example := phonenumbers.example_number_for_type(region, kind):
                for shape in FORMATS:
                    finds_all(phonenumbers.format_number(example, shape).lstrip("+"))
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        example = phonenumbers.example_number_for_non_geo_entity(code)
        assert example is not None
        assert may_be_international(f"{code}{example.national_number}".encode())


def test_a_plan_that_forgets_the_national_prefix_breaks_that(monkeypatch: pytest.MonkeyPatch) -> None:
    number = "0171 2345678"
    assert "DE" in PLANS.regions(digits_of(number.encode()))
    monkeypatch.setattr(numbering_plans, "_prefix", lambda _known: "")
    assert "DE" not in NationalPlans(_REGIONS).regions(digits_of(number.encode()))


@pytest.mark.parametrize("number", ["1", "0" * 12, "55512", "1234567890123", "999 999 999 999"])
def test_most_others_are_told_without_asking_the_library(number: str) -> None:
    assert not [*PLANS.regions(digits_of(number.encode()))]


@pytest.mark.parametrize("number", ["", "0", "0049171", "999123456", "1 555", "44 1"])
def test_so_are_those_without_a_code_or_with_too_few_digits_after_it(number: str) -> None:
    assert not may_be_international(digits_of(number.encode()))


def test_a_plan_that_does_more_than_take_a_prefix_off_leaves_all_to_the_library() -> None:
    assert may_be_international(b"541")  # Argentina moves a 15 for a 9
