"""Who an assertion is about: always the same name for one person, and nothing that could be mistaken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.identity.saml_idp import EMAIL, PERSISTENT

from authz_service.config.identity_values import SamlBatch, SamlProvider
from authz_service.errors import Unauthenticated
from authz_service.identity.saml.assertion import UNSPECIFIED, Assertion
from authz_service.identity.saml.person import TRANSIENT, claims_of_person, claims_of_service

PROVIDER = SamlProvider("corp", "https://idp.example.com", "corp.xml", "llm-gateway")
ASSERTION = Assertion(
    "_a", "alice", PERSISTENT, 0.0, None, {"groups": ("staff",), "mail": ("a@example.com",)}
)


def told(**attributes: tuple[str | None, ...]) -> Assertion:
    return replace(ASSERTION, attributes=attributes)


def test_the_name_id_and_the_groups_are_claims_and_nothing_else_is() -> None:
    assert claims_of_person(ASSERTION, PROVIDER) == {"sub": "alice", "groups": ["staff"]}
    assert claims_of_person(told(), PROVIDER) == {"sub": "alice"}
    assert claims_of_person(told(groups=()), PROVIDER) == {"sub": "alice", "groups": []}


def test_attributes_name_people_where_the_file_says_so() -> None:
    named = replace(PROVIDER, subject="uid", person="mail", groups="memberOf")
    assertion = told(uid=("u-1",), mail=("A@example.com",), memberOf=("x", "y"))
    assert claims_of_person(assertion, named) == {
        "sub": "u-1",
        "groups": ["x", "y"],
        "person": "A@example.com",
    }


def test_a_name_that_is_another_at_each_login_is_refused_unless_an_attribute_names_people() -> None:
    passing = replace(ASSERTION, format=TRANSIENT)
    with pytest.raises(Unauthenticated) as caught:
        claims_of_person(passing, PROVIDER)
    assert caught.value.code == "saml_transient_subject"
    assert claims_of_person(passing, replace(PROVIDER, subject="mail"))["sub"] == "a@example.com"


@pytest.mark.parametrize("wanted", [PERSISTENT, EMAIL, UNSPECIFIED])
def test_a_name_of_any_other_format_than_the_one_is_refused_unless_an_attribute_names_people(
    wanted: str,
) -> None:
    settings = replace(PROVIDER, name_format=wanted)
    for found in (PERSISTENT, EMAIL, UNSPECIFIED, "urn:x"):
        assertion = replace(ASSERTION, format=found)
        if found == wanted:
            assert claims_of_person(assertion, settings)["sub"] == "alice"
            continue
        with pytest.raises(Unauthenticated) as caught:
            claims_of_person(assertion, settings)
        assert caught.value.code == "saml_wrong_name_format"
        assert claims_of_person(assertion, replace(settings, subject="mail"))["sub"] == "a@example.com"


@pytest.mark.parametrize(
    "assertion",
    [
        replace(ASSERTION, subject=""),
        replace(ASSERTION, subject="a\u202eb"),
        replace(ASSERTION, subject="a" * 513),
        told(groups=("staff", "")),
        told(groups=("a\nb",)),
        told(groups=("staff", None)),
    ],
)
def test_names_that_could_be_mistaken_are_refused(assertion: Assertion) -> None:
    with pytest.raises(Unauthenticated):
        claims_of_person(assertion, PROVIDER)


@pytest.mark.parametrize("values", [(), ("a", "b"), ("",), (None,)])
def test_a_person_is_named_once(values: Any) -> None:
    for provider in (replace(PROVIDER, person="mail"), replace(PROVIDER, subject="mail")):
        with pytest.raises(Unauthenticated):
            claims_of_person(told(mail=values), provider)


def test_a_batch_client_is_a_service_account_with_its_owner_and_its_whole_scope() -> None:
    assertion = told(scope=("model:llama api:openai_chat", "tokens:5"), owner=("olga",))
    assert claims_of_service(assertion, PROVIDER, SamlBatch()) == {
        "sub": "alice",
        "client_id": "alice",
        "owner": "olga",
        "scope": "model:llama api:openai_chat tokens:5",
    }
    # What cannot be understood is left to the verifier, which refuses the token for it.
    odd = claims_of_service(told(scope=("model:llama model:",), owner=("olga",)), PROVIDER, SamlBatch())
    assert odd["scope"] == "model:llama model:"
    with pytest.raises(Unauthenticated, match="'owner'"):
        claims_of_service(told(scope=("model:llama",)), PROVIDER, SamlBatch())
