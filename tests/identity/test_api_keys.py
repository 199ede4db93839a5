"""API keys in memory: whose one is, until when, and where it counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.identity.provider import NOW

from authz_service.core.api_keys import ApiKey
from authz_service.errors import Unauthenticated
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.verifier import Verifier
from authz_service.keys.api_key import ApiKeyHashes, new_api_key
from authz_service.view.caller import API_KEYS

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

HASHES = ApiKeyHashes(bytes(32))
SECRET = new_api_key()
KEY = ApiKey(
    id="key_1",
    hash=HASHES.of(SECRET),
    name="nightly",
    owner="olga",
    groups=("staff",),
    scope=("model:llama",),
    created_at=NOW - 60,
    expires_at=NOW + 60,
    by="oscar",
)


@pytest.fixture
def keys(clock: Clock) -> ApiKeys:
    known = ApiKeys(HASHES, clock)
    known.take([KEY])
    return known


def refusal(keys: ApiKeys, text: str = SECRET) -> str:
    with pytest.raises(Unauthenticated) as refused:
        keys.verify(text)
    assert text not in str(refused.value)
    return refused.value.code


def test_a_key_speaks_for_its_name_with_its_groups_scope_and_owner(keys: ApiKeys) -> None:
    caller = keys.verify(SECRET)
    assert (caller.issuer, caller.subject, caller.person) == (API_KEYS, "nightly", None)
    assert (caller.groups, caller.groups_complete, caller.scope) == (("staff",), True, ("model:llama",))
    assert (caller.expires_at, caller.claims) == (NOW + 60, {"key": "key_1", "owner": "olga"})


def test_a_key_that_is_not_known_is_told_from_one_that_is_not_whole(keys: ApiKeys) -> None:
    assert refusal(keys, new_api_key()) == "unknown_api_key"
    assert refusal(keys, SECRET[:-1]) == "malformed_api_key"
    assert refusal(ApiKeys(ApiKeyHashes(bytes(31) + b"1")), SECRET) == "unknown_api_key"


def test_a_key_ends_at_its_time_and_when_it_is_revoked(keys: ApiKeys, clock: Clock) -> None:
    caller = keys.verify(SECRET)
    clock.now = NOW + 59.9
    keys.recheck(caller)
    clock.now = NOW + 60
    assert refusal(keys) == "api_key_expired"
    with pytest.raises(Unauthenticated, match="expired"):
        keys.recheck(caller)
    clock.now = NOW
    keys.verify(SECRET)
    keys.take([replace(KEY, revoked_at=NOW)])
    assert refusal(keys) == "api_key_revoked"
    with pytest.raises(Unauthenticated, match="revoked"):
        keys.recheck(caller)
    with pytest.raises(Unauthenticated, match="not known"):
        ApiKeys(HASHES, clock).recheck(caller)


def test_a_rotation_shortens_the_life_of_the_old_key_also_for_who_has_it_already(
    keys: ApiKeys, clock: Clock
) -> None:
    caller, secret = keys.verify(SECRET), new_api_key()
    new = replace(KEY, id="key_2", hash=HASHES.of(secret), replaces="key_1", expires_at=NOW + 600)
    keys.take([new, replace(KEY, expires_at=NOW + 10)])
    clock.now = NOW + 10
    with pytest.raises(Unauthenticated):
        keys.recheck(caller)
    assert keys.verify(secret).identity == caller.identity


def test_the_verifier_takes_keys_at_the_gateway_and_never_at_the_review_api(
    keys: ApiKeys, clock: Clock, provider: Provider
) -> None:
    def verifier(**more: Any) -> Verifier:
        return Verifier([provider.trusted()], review_audience=provider.review, clock=clock, **more)

    taking = verifier(api_keys=keys)
    caller = asyncio.run(taking.verify_gateway(SECRET))
    assert caller.subject == "nightly"
    asyncio.run(taking.recheck(caller))
    with pytest.raises(Unauthenticated, match="for the gateway") as refused:
        asyncio.run(taking.verify_review(SECRET))
    assert refused.value.code == "wrong_audience"
    keys.take([replace(KEY, revoked_at=NOW)])
    with pytest.raises(Unauthenticated, match="revoked"):
        asyncio.run(taking.recheck(caller))
    for attempt in (verifier().verify_gateway(SECRET), verifier().recheck(caller)):
        with pytest.raises(Unauthenticated, match="takes no API keys"):
            asyncio.run(attempt)


def test_a_damaged_key_counts_no_more_also_for_what_waits(keys: ApiKeys) -> None:
    caller = keys.verify(SECRET)
    keys.take([replace(KEY, is_damaged=True)])
    assert refusal(keys) == "api_key_damaged"
    with pytest.raises(Unauthenticated, match="damaged"):
        keys.recheck(caller)
    keys.take([replace(KEY, is_damaged=True, revoked_at=NOW)])
    assert refusal(keys) == "api_key_revoked"
