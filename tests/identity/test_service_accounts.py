"""Whose token it is, a person's or a service's, by the signs of each provider; and the scope it brings."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.errors import AuthzError, Forbidden, Unauthenticated
from authz_service.identity.service_accounts import ServiceAccounts

USUAL = ServiceAccounts()
KEYCLOAK = ServiceAccounts(having=("client_id",))
ENTRA = ServiceAccounts(having=("idtyp",), value="app", scopes=("roles",))
OKTA = ServiceAccounts(lacking=("uid",), scopes=("scp",))
NESTED = ServiceAccounts(having=("act", "kind"), value="service", scopes=("authz", "scope"))


def scope(services: ServiceAccounts, **claims: Any) -> tuple[str, ...] | str | None:
    try:
        return services.scope({"sub": "it", **claims})
    except AuthzError as error:
        return error.code


@pytest.mark.parametrize(
    ("services", "claims"),
    [
        (USUAL, {"scope": "openid model:llama"}),
        (USUAL, {"client_id": "web", "azp": "web"}),
        (USUAL, {"idtyp": "user"}),
        (USUAL, {"azp": "a-client", "email": "it@example.com", "preferred_username": "it"}),
        (KEYCLOAK, {"azp": "it", "scope": "model:llama"}),
        (ENTRA, {"idtyp": "user", "roles": ["model:llama"]}),
        (ENTRA, {"azp": "it"}),
        (OKTA, {"uid": "00u1", "cid": "it", "scp": ["model:llama"]}),
        (NESTED, {"act": {"kind": "person"}}),
        (NESTED, {"act": "service"}),
    ],
)
def test_a_persons_token_has_no_scope(services: ServiceAccounts, claims: dict[str, Any]) -> None:
    assert scope(services, **claims) is None


@pytest.mark.parametrize(
    ("services", "claims"),
    [
        (USUAL, {"client_id": "it", "scope": "openid model:llama api:openai_chat"}),
        (USUAL, {"azp": "it", "scope": "model:llama  api:openai_chat model:llama"}),
        (USUAL, {"cid": "it", "scope": ["model:llama", "api:openai_chat"]}),
        (USUAL, {"idtyp": "app", "scope": "model:llama api:openai_chat"}),
        (USUAL, {"owner": "olga", "scope": "model:llama api:openai_chat"}),
        (USUAL, {"gty": "client-credentials", "scope": "model:llama api:openai_chat"}),
        (USUAL, {"preferred_username": "service-account-it", "scope": "model:llama api:openai_chat"}),
        (USUAL, {"email": "it@project.iam.gserviceaccount.com", "scope": "model:llama api:openai_chat"}),
        (USUAL, {"sub": "system:serviceaccount:prod:it", "scope": "model:llama api:openai_chat"}),
        (OKTA, {"uid": "00u1", "owner": "olga", "scp": ["model:llama", "api:openai_chat"]}),
        (KEYCLOAK, {"client_id": "ci", "scope": "profile email model:llama api:openai_chat"}),
        (ENTRA, {"idtyp": "app", "roles": ["Reader", "model:llama", "api:openai_chat"]}),
        (OKTA, {"cid": "it", "scp": ["model:llama", "api:openai_chat"]}),
        (NESTED, {"act": {"kind": "service"}, "authz": {"scope": "model:llama api:openai_chat"}}),
    ],
)
def test_a_services_token_brings_the_words_that_are_ours(
    services: ServiceAccounts, claims: dict[str, Any]
) -> None:
    assert scope(services, **claims) == ("model:llama", "api:openai_chat")


@pytest.mark.parametrize(
    ("services", "claims", "code"),
    [
        (USUAL, {"client_id": "it"}, "no_scope"),
        (USUAL, {"client_id": "it", "scope": ""}, "no_scope"),
        (USUAL, {"client_id": "it", "scope": "openid offline_access"}, "no_scope"),
        (USUAL, {"client_id": "it", "scope": []}, "no_scope"),
        (ENTRA, {"idtyp": "app", "scope": "model:llama"}, "no_scope"),
        (USUAL, {"client_id": "it", "scope": "model:llama tokens:many"}, "malformed_token"),
        (USUAL, {"client_id": "it", "scope": "model:"}, "malformed_token"),
        (USUAL, {"client_id": "it", "scope": {"model:llama": 1}}, "malformed_token"),
        (USUAL, {"client_id": "it", "scope": ["model:llama", 1]}, "malformed_token"),
        (USUAL, {"client_id": "it", "scope": 1}, "malformed_token"),
        (USUAL, {"client_id": "it", "scope": [f"model:{n}" for n in range(65)]}, "malformed_token"),
    ],
)
def test_a_service_without_a_scope_that_is_understood_gets_nothing(
    services: ServiceAccounts, claims: dict[str, Any], code: str
) -> None:
    assert scope(services, **claims) == code


def test_a_scope_that_is_missing_is_forbidden_and_one_that_is_wrong_is_no_token() -> None:
    with pytest.raises(Forbidden, match="model:NAME"):
        USUAL.scope({"sub": "it", "owner": "olga"})
    with pytest.raises(Unauthenticated):
        USUAL.scope({"sub": "it", "owner": "olga", "scope": "api:"})
