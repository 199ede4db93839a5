"""What the verifier remembers ends with its time, its key and its door."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from authz_service.errors import Unauthenticated
from authz_service.identity.key_sources import FixedKeys
from authz_service.identity.keys import read_jwks
from authz_service.identity.verifier import MOST_REMEMBERED, Verifier

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

from tests.identity.verifying import NOW, gateway, refusal


def test_a_token_that_one_door_remembers_does_not_open_the_other(
    verifier: Verifier, provider: Provider
) -> None:
    token = provider.token()
    gateway(verifier, token)
    with pytest.raises(Unauthenticated, match="authz-review"):
        asyncio.run(verifier.verify_review(token))


def test_a_remembered_token_ends_with_its_time(verifier: Verifier, provider: Provider, clock: Clock) -> None:
    token = provider.token()
    gateway(verifier, token)
    clock.now = NOW + 3600 - 0.5
    assert gateway(verifier, token).subject == "alice"
    clock.now = NOW + 3600
    assert refusal(verifier, token) == "token_expired"


class Rotating:
    """A key source whose keys can be taken away."""

    def __init__(self, *keys: Any) -> None:
        self.fixed = FixedKeys(*keys)
        self.asked = 0

    async def find(self, kid: str | None, algorithm: str) -> Any:
        self.asked += 1
        return await self.fixed.find(kid, algorithm)

    def has(self, key: Any) -> bool:
        return self.fixed.has(key)

    async def successor(self, key: Any, kid: str | None, algorithm: str) -> Any:
        return None

    async def stands_by(self, digest: str) -> bool:
        return await self.fixed.stands_by(digest)

    async def warm(self) -> None: ...

    async def close(self) -> None: ...


def test_a_remembered_token_ends_with_its_key(provider: Provider, clock: Clock) -> None:
    keys = Rotating(*read_jwks(provider.jwks("rsa")))
    verifier = Verifier([provider.trusted(keys=keys)], review_audience=provider.review, clock=clock)
    token = provider.token()
    assert [gateway(verifier, token).subject for _ in range(3)] == ["alice"] * 3
    assert keys.asked == 1
    keys.fixed = FixedKeys(*read_jwks(provider.jwks("other")))
    assert refusal(verifier, token) == "unknown_key"


def test_a_key_that_was_replaced_under_its_id_ends_what_it_verified(provider: Provider, clock: Clock) -> None:
    keys = Rotating(*read_jwks(provider.jwks("rsa")))
    verifier = Verifier([provider.trusted(keys=keys)], review_audience=provider.review, clock=clock)
    token = provider.token()
    gateway(verifier, token)
    keys.fixed = FixedKeys(*read_jwks(json.dumps({"keys": [provider.jwk("other", kid="rsa")]}).encode()))
    assert refusal(verifier, token) == "bad_signature"


def test_what_is_remembered_is_bounded(
    verifier: Verifier, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_REMEMBERED <= 10_000
    monkeypatch.setattr("authz_service.identity.verifier.MOST_REMEMBERED", 3)
    for number in range(5):
        gateway(verifier, provider.token("ed", sub=f"person-{number}"))
    assert len(verifier._remembered) == 3


def test_an_issuer_with_shorter_tokens_says_so(provider: Provider, clock: Clock) -> None:
    verifier = Verifier([provider.trusted(max_lifetime=600.0)], review_audience=provider.review, clock=clock)
    assert gateway(verifier, provider.token(exp=NOW + 600)).subject == "alice"
    with pytest.raises(Unauthenticated, match="600 seconds"):
        gateway(verifier, provider.token(exp=NOW + 601))


def test_a_caller_whose_key_was_withdrawn_since_is_found_out(provider: Provider, clock: Clock) -> None:
    keys = Rotating(*read_jwks(provider.jwks("rsa", "ec")))
    verifier = Verifier([provider.trusted(keys=keys)], review_audience=provider.review, clock=clock)
    caller = gateway(verifier, provider.token())
    asyncio.run(verifier.recheck(caller))
    clock.now += 1e6  # its time is not for this to judge: a snapshot may outlive it
    asyncio.run(verifier.recheck(caller))
    keys.fixed = FixedKeys(*read_jwks(provider.jwks("ec")))
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(verifier.recheck(caller))
    assert caught.value.code == "unknown_key"
    asyncio.run(verifier.recheck(replace(caller, key="")))  # as it comes back from a hold
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(verifier.recheck(replace(caller, issuer="https://other.example")))
    assert caught.value.code == "unknown_issuer"
