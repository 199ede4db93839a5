"""Groups and the person: what an issuer may leave out counts as unknown, never as none."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unauthenticated
from authz_service.identity.claims import LEEWAY, PersonClaim, caller, check_times
from authz_service.identity.groups import GroupClaim
from authz_service.identity.token import LONGEST_NAME
from authz_service.view.caller import Caller

NOW = 1_800_000_000.0


def read(path: tuple[str, ...] = ("groups",), person: str | None = None, **claims: Any) -> Caller:
    content = {"iss": "https://id", "sub": "alice"} | claims
    who = PersonClaim(person) if person else None
    return caller(content, expires_at=NOW, groups=GroupClaim(path), person=who)


@pytest.mark.parametrize(
    ("claims", "path", "groups", "is_complete"),
    [
        ({"groups": ["a", "b"]}, ("groups",), ("a", "b"), True),
        ({"groups": []}, ("groups",), (), True),
        ({"groups": "a"}, ("groups",), ("a",), True),
        ({"realm_access": {"roles": ["a"]}}, ("realm_access", "roles"), ("a",), True),
        ({"https://example.com/groups": ["a"]}, ("https://example.com/groups",), ("a",), True),
        # the claim is missing: some providers leave it out for people without groups, some for all
        ({}, ("groups",), (), False),
        ({"realm_access": {}}, ("realm_access", "roles"), (), False),
        ({"realm_access": ["roles"]}, ("realm_access", "roles"), (), False),
        ({"groups": None}, ("groups",), (), False),
        # Entra above 200 groups
        ({"_claim_names": {"groups": "src1"}}, ("groups",), (), False),
        ({"_claim_names": {"groups": "src1"}, "groups": ["a"]}, ("groups",), ("a",), False),
        ({"_claim_names": {"photo": "src1"}, "groups": ["a"]}, ("groups",), ("a",), True),
        ({"_claim_names": 7, "groups": ["a"]}, ("groups",), ("a",), False),
        ({"hasgroups": True, "groups": ["a"]}, ("groups",), ("a",), False),
    ],
)
def test_groups_are_read_along_their_path(
    claims: dict[str, Any], path: tuple[str, ...], groups: tuple[str, ...], is_complete: bool
) -> None:
    found = read(path, **claims)
    assert (found.groups, found.groups_complete) == (groups, is_complete)


@pytest.mark.parametrize(("length", "is_complete"), [(99, True), (100, False), (101, True)])
def test_a_list_as_long_as_okta_cuts_may_be_cut(length: int, is_complete: bool) -> None:
    assert read(path=("g",), g=[f"g{n}" for n in range(length)]).groups_complete is is_complete


@pytest.mark.parametrize(
    "value", [7, True, {"a": 1}, [["a"]], [None], [""], ["a\nb"], ["a" * (LONGEST_NAME + 1)]]
)
def test_groups_that_are_no_names_refuse_the_token(value: object) -> None:
    with pytest.raises(Unauthenticated):
        read(path=("g",), g=value)


def test_the_person_is_the_value_of_the_configured_claim() -> None:
    found = read(person="employee", employee="E-7")
    assert found.person == "E-7"
    assert found.identity == ("person", "E-7")


def test_the_same_address_in_another_case_is_the_same_person() -> None:
    emails = ["Alice@Example.com", "alice@example.COM"]
    found = {read(person="email", email=email, email_verified=True).person for email in emails}
    assert found == {"alice@example.com"}
    assert read(person="employee", employee="AbC").person == "AbC"


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("mi\u212ae@example.com", "mike@example.com"),  # the Kelvin sign
        ("bo\u017fs@example.com", "boss@example.com"),  # a long s
        ("olga@stra\u00dfe.example", "olga@strasse.example"),
        ("\ufb01na@example.com", "fina@example.com"),  # a ligature
        ("\u0130da@example.com", "ida@example.com"),
    ],
)
def test_no_letter_that_becomes_another_makes_somebody_of_somebody_else(address: str, other: str) -> None:
    found = [read(person="email", email=email, email_verified=True).person for email in (address, other)]
    assert found[0] != found[1]
    assert found[1] == other


def test_letters_beyond_ascii_are_compared_without_regard_to_case_too() -> None:
    found = {
        read(person="email", email=e, email_verified=True).person for e in ("Ä@x.example", "ä@X.example")
    }
    assert found == {"ä@x.example"}


def test_a_token_without_the_person_is_refused_since_one_person_would_be_two() -> None:
    for value in [None, "", 7, ["alice"]]:
        with pytest.raises(Unauthenticated):
            read(person="employee", employee=value)


@pytest.mark.parametrize("verified", [False, "false", None, 0, 2, "yes"])
def test_an_address_that_the_issuer_did_not_verify_names_nobody(verified: object) -> None:
    with pytest.raises(Unauthenticated, match="not verified"):
        read(person="email", email="boss@example.com", email_verified=verified)


@pytest.mark.parametrize("verified", [True, "true"])
def test_an_address_that_the_issuer_verified_names_its_person(verified: object) -> None:
    assert read(person="email", email="a@example.com", email_verified=verified).person == "a@example.com"


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=5,
    )
)
def test_the_claims_of_a_caller_always_survive_json(claims: dict[str, Any]) -> None:
    try:
        found = read(**{f"x{name}": value for name, value in claims.items()})
    except Unauthenticated:
        return
    assert orjson.loads(orjson.dumps(found.claims)) == found.claims


NEAR = st.floats(NOW - 2_000, NOW + 2_000)
ODD = st.integers() | st.floats() | st.none() | st.booleans() | st.text(max_size=3)


@given(exp=NEAR, iat=NEAR, nbf=NEAR)
def test_a_token_is_accepted_in_its_time_and_lifetime_and_never_else(
    exp: float, iat: float, nbf: float
) -> None:
    is_good = exp > NOW and max(iat, nbf) <= NOW + LEEWAY and exp - iat <= 600.0
    try:
        assert check_times({"exp": exp, "iat": iat, "nbf": nbf}, now=NOW, max_lifetime=600.0) == exp
    except Unauthenticated:
        assert not is_good
    else:
        assert is_good


@given(exp=NEAR | ODD, iat=NEAR | ODD, nbf=NEAR | ODD)
def test_no_value_of_a_time_breaks_more_than_its_token(exp: object, iat: object, nbf: object) -> None:
    with contextlib.suppress(Unauthenticated):
        assert check_times({"exp": exp, "iat": iat, "nbf": nbf}, now=NOW, max_lifetime=600.0) > NOW


@pytest.mark.parametrize(
    "claims",
    [
        {"groups:src1": {"endpoint": "https://graph.windows.net/x"}, "groups": ["a"]},
        {"hasgroups": True, "groups": ["a"]},
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}, "groups": ["a"]},
    ],
)
def test_entras_signs_that_groups_are_elsewhere_leave_the_rest_unknown(claims: dict[str, Any]) -> None:
    assert (read(**claims).groups, read(**claims).groups_complete) == (("a",), False)


def test_the_name_of_a_place_where_groups_are_is_no_group() -> None:
    found = read(groups="src1", _claim_sources={"src1": {"endpoint": "https://graph.microsoft.com/x"}})
    assert (found.groups, found.groups_complete) == ((), False)


@pytest.mark.parametrize(
    ("cut", "length", "is_complete"), [(0, 100, True), (50, 50, False), (50, 100, True), (100, 100, False)]
)
def test_the_length_at_which_a_provider_cuts_can_be_said(cut: int, length: int, is_complete: bool) -> None:
    claims = {"groups": [f"g{n}" for n in range(length)]}
    assert GroupClaim(cut=cut).read(claims)[1] is is_complete


def test_a_leading_slash_goes_only_where_it_is_asked_for_and_the_rest_of_the_path_stays() -> None:
    claims = {"groups": ["/staff", "/customers/admin", "admin", "/", "//x"]}
    assert GroupClaim().read(claims)[0] == ("/staff", "/customers/admin", "admin", "/", "//x")
    stripped = GroupClaim(without_slash=True).read(claims)[0]
    assert stripped == ("staff", "customers/admin", "admin", "/", "/x")


def test_an_address_without_a_word_on_its_verification_names_nobody_unless_the_operator_says_so() -> None:
    with pytest.raises(Unauthenticated, match="not verified"):
        read(person="email", email="a@example.com")
    trusted = PersonClaim("email", is_trusted=True)
    assert trusted.read({"email": "A@example.com"}) == "a@example.com"
    with pytest.raises(Unauthenticated, match="not verified"):
        trusted.read({"email": "a@example.com", "email_verified": False})
