"""One person with accounts at two issuers, before a real Envoy: one requester, one vote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.e2e.identity_provider import AUDIENCE, IdentityProvider
from tests.e2e.issuers import EMBEDDED, config_with
from tests.e2e.people import approve, chat, hold_of, in_background, state_of
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(idp: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that knows people by their address, and wants two votes."""
    issuers = [idp.issuer("one"), idp.issuer("two")]
    config = config_with(issuers, f"audience: {AUDIENCE}, algorithms: [RS256], person: email")
    anybody = " || ".join(f"person.issuer == '{issuer}'" for issuer in [EMBEDDED, *issuers])
    config = config.replace(f"person.issuer == '{EMBEDDED}'", f"({anybody})")
    with Stack(tmp_path_factory.mktemp("gateway"), config=config, votes=2) as running:
        yield running


def ask(stack: Stack, token: str, text: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{stack.url}/v1/chat/completions"
    return httpx.post(url, content=json.dumps(chat(text)), headers=headers, timeout=60)


def reviewer(idp: IdentityProvider, issuer: str, subject: str, email: str) -> str:
    claims: dict[str, Any] = {"sub": subject, "email": email, "email_verified": True, "groups": ["reviewers"]}
    return idp.token(issuer=issuer, aud="authz-review", **claims)


def test_neither_account_of_the_requester_may_vote_and_two_of_a_reviewer_are_one_vote(
    stack: Stack, idp: IdentityProvider
) -> None:
    mine: dict[str, Any] = {"email": "Carol@Example.com", "email_verified": True, "groups": ["contractors"]}
    token = idp.token(issuer="one", sub="carol-1", **mine)
    asking = in_background(lambda: ask(stack, token, "Hold this"))
    hold = hold_of(stack, "carol-1")
    own = reviewer(idp, "two", "c-2", "carol@example.com")
    assert "cannot decide on it" in approve(stack, hold, check=5, token=own)
    approve(stack, hold, token=reviewer(idp, "one", "rita-1", "rita@example.com"))
    again = reviewer(idp, "two", "r-2", "RITA@example.com")
    assert "voted" in approve(stack, hold, check=4, token=again)
    assert state_of(stack, hold) == "pending"
    approve(stack, hold, token=reviewer(idp, "two", "rob", "rob@example.com"))
    assert asking.result(60).status_code == 200


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, "malformed_token"),
        ({"email": "boss@example.com"}, "unverified_person"),
        ({"email": "boss@example.com", "email_verified": False}, "unverified_person"),
    ],
)
def test_who_has_no_verified_address_is_nobody_here(
    stack: Stack, idp: IdentityProvider, claims: dict[str, Any], code: str
) -> None:
    before = len(stack.upstream.requests)
    answer = ask(stack, idp.token(issuer="one", groups=["staff"], **claims), "Hello")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert len(stack.upstream.requests) == before
