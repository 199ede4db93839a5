"""A good assertion is read; whatever is not for us, now, and for this login is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.identity.saml_idp import Say, sign, signer

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.assertion import Assertion

Answer = Callable[..., bytes]
Take = Callable[..., Assertion]


def test_a_good_assertion_says_who_with_which_attributes_and_until_when(
    say: Say, answer: Answer, take: Take
) -> None:
    found = take(answer(say.but(session=3600.0, ends=200.0)))
    assert (found.id, found.subject) == ("_a1", "alice@example.com")
    assert found.attributes == {"groups": ("staff", "reviewers")}
    assert found.ends == pytest.approx(say.now + 200, abs=0.01)
    assert found.session_ends == pytest.approx(say.now + 3600, abs=0.01)


@pytest.mark.parametrize("bits", [2048, 4096, 256])
def test_keys_of_rsa_and_of_p256_are_good(bits: int, say: Say, answer: Answer, take: Take) -> None:
    by = signer("strong", bits=bits)
    assert take(answer(sign(say.text(), by)), certificates=[by.certificate]).id == "_a1"


@pytest.mark.parametrize("algorithm", ["rsa-sha384", "rsa-sha512", "sha256-rsa-MGF1"])
def test_longer_digests_and_pss_are_good(algorithm: str, say: Say, answer: Answer, take: Take) -> None:
    assert take(answer(sign(say.text(), algorithm=algorithm))).id == "_a1"


def test_the_response_may_be_signed_as_well(say: Say, answer: Answer, take: Take) -> None:
    assert take(answer(say, by=signer())).id == "_a1"


def test_one_of_several_keys_is_enough(say: Say, answer: Answer, take: Take) -> None:
    certificates = [signer("next").certificate, signer().certificate]
    assert take(answer(say), certificates=certificates).id == "_a1"


def test_an_attribute_that_is_written_once_for_each_value_has_them_all(
    say: Say, answer: Answer, take: Take
) -> None:
    parts = [
        f'<saml:Attribute Name="groups"><saml:AttributeValue>{n}</saml:AttributeValue></saml:Attribute>'
        for n in "ab"
    ]
    text = say.but(attributes={}).text()
    statement = f"<saml:AttributeStatement>{''.join(parts)}</saml:AttributeStatement></saml:Assertion>"
    assert take(answer(sign(text.replace("</saml:Assertion>", statement)))).attributes == {
        "groups": ("a", "b")
    }


WRONG = [
    ({"audience": "https://other.example.com"}, "saml_wrong_audience"),
    ({"audience": None}, "saml_wrong_audience"),
    ({"conditions": "<saml:AudienceRestriction/>"}, "saml_wrong_audience"),
    ({"recipient": "https://login.example.com/saml/other/acs"}, "saml_wrong_recipient"),
    ({"recipient": None}, "saml_wrong_recipient"),
    ({"issuer": "https://idp.example.com/SAML"}, "saml_wrong_issuer"),
    ({"in_response_to": "_another"}, "saml_wrong_request"),
    ({"in_response_to": None}, "saml_wrong_request"),
    ({"ends": 0.0}, "saml_expired"),
    ({"ends": -0.5}, "saml_expired"),
    ({"confirmed": 0.0}, "saml_expired"),
    ({"session": -1.0}, "saml_expired"),
    ({"confirmed": None}, "saml_malformed"),
    ({"begins": 11.0}, "saml_not_yet_valid"),
    ({"issued": 11.0}, "saml_not_yet_valid"),
    ({"confirmed": 90_000.0, "ends": 90_000.0}, "saml_lifetime"),
    ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, "saml_malformed"),
    ({"confirmation": 'NotBefore="2020-01-01T00:00:00Z"'}, "saml_malformed"),
    ({"conditions": "<saml:Condition/>"}, "saml_malformed"),
    ({"statement": False}, "saml_malformed"),
    ({"version": "1.1"}, "saml_malformed"),
    ({"name_more": 'NameQualifier="https://other.example.com"'}, "saml_malformed"),
    ({"name_more": 'SPNameQualifier="https://other.example.com"'}, "saml_malformed"),
    ({"name_id": "<saml:Issuer>alice</saml:Issuer>"}, "saml_malformed"),
]


@pytest.mark.parametrize(("changes", "code"), WRONG)
def test_what_is_not_for_us_now_and_for_this_login_is_refused(
    changes: dict[str, Any], code: str, say: Say, answer: Answer, take: Take
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say.but(**changes)), now=say.now)
    assert caught.value.code == code


@pytest.mark.parametrize("changes", [{"begins": 9.0}, {"issued": 9.0}, {"ends": None}, {"begins": None}])
def test_a_clock_ten_seconds_ahead_is_borne_and_conditions_need_no_times(
    changes: dict[str, Any], say: Say, answer: Answer, take: Take
) -> None:
    assert take(answer(say.but(**changes)), now=say.now).id == "_a1"


@pytest.mark.parametrize(
    "time", ["2030-01-01T00:00:00", "2030-01-01T00:00:00+02:00", "2030-W01-1", "soon", "NaN"]
)
def test_times_are_in_utc_or_refused(time: str, say: Say, answer: Answer, take: Take) -> None:
    text = say.text().replace(f'NotOnOrAfter="{say.at(300.0)}"', f'NotOnOrAfter="{time}"')
    with pytest.raises(Unauthenticated, match="no time in UTC"):
        take(answer(sign(text)))


@pytest.mark.parametrize("destination", [None, "https://login.example.com/saml/other/acs"])
def test_a_response_for_another_address_is_refused(
    destination: str | None, say: Say, answer: Answer, take: Take
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say, destination=destination))
    assert caught.value.code == "saml_wrong_destination"


def test_a_response_that_nobody_asked_for_is_refused(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say.but(in_response_to=None), in_response_to=None))
    assert caught.value.code == "saml_unsolicited"


def test_a_response_of_another_provider_is_refused(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say, issuer="https://evil.example.com"))
    assert caught.value.code == "saml_wrong_issuer"


def test_why_a_provider_logged_nobody_in_is_told_in_words_of_the_standard(answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated, match=r"\(AuthnFailed\)") as caught:
        take(answer(status="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"))
    assert caught.value.code == "saml_not_logged_in"
    with pytest.raises(Unauthenticated, match=r"\(no reason\)"):
        take(answer(status="urn:x:status:alice@example.com was here"))
