"""A configuration's issuers become one verifier, or an error that names the issuer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from authz_service.config.model import Identity, Issuer, Review
from authz_service.errors import Misconfigured, Unauthenticated, Unavailable
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.identity.key_cache import KeyCache
from authz_service.identity.trust import verifier_from

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedIssuer:
    return EmbeddedIssuer.load(tmp_path / "issuer.pem")


@pytest.fixture
def listed(tmp_path: Path, provider: Provider) -> Issuer:
    path = tmp_path / "jwks.json"
    path.write_bytes(provider.jwks("rsa"))
    return Issuer(
        provider.url, provider.audience, ("RS256",), str(path), groups=("groups",), max_lifetime=3600
    )


def our_token(embedded: EmbeddedIssuer, clock: Clock) -> str:
    return embedded.sign("alice", (), audience=GATEWAY_AUDIENCE, ttl=60, now=clock.now)


def test_the_embedded_issuer_is_trusted_where_it_is_switched_on(
    embedded: EmbeddedIssuer, clock: Clock
) -> None:
    verifier = verifier_from(Identity(), Review(), embedded=embedded, clock=clock)
    assert asyncio.run(verifier.verify_gateway(our_token(embedded, clock))).subject == "alice"


def test_the_embedded_issuer_is_not_trusted_where_it_is_switched_off(
    embedded: EmbeddedIssuer, listed: Issuer, provider: Provider, clock: Clock
) -> None:
    identity = Identity(embedded=False, issuers=(listed,))
    verifier = verifier_from(identity, Review(), embedded=embedded, clock=clock)
    assert asyncio.run(verifier.verify_gateway(provider.token())).subject == "alice"
    with pytest.raises(Unauthenticated, match="issuer"):
        asyncio.run(verifier.verify_gateway(our_token(embedded, clock)))


def test_both_together_need_to_be_asked_for(
    embedded: EmbeddedIssuer, listed: Issuer, provider: Provider, clock: Clock
) -> None:
    with pytest.raises(Misconfigured, match="embedded_votes"):
        verifier_from(Identity(issuers=(listed,)), Review(), embedded=embedded, clock=clock)
    identity = Identity(embedded_votes=True, issuers=(listed,))
    verifier = verifier_from(identity, Review(), embedded=embedded, clock=clock)
    for token in (our_token(embedded, clock), provider.token()):
        assert asyncio.run(verifier.verify_gateway(token)).subject == "alice"


def test_the_settings_of_an_issuer_are_honoured(listed: Issuer, provider: Provider, clock: Clock) -> None:
    identity = Identity(embedded=False, issuers=(listed,))
    verifier = verifier_from(identity, Review(audience="reviews"), embedded=None, clock=clock)
    asyncio.run(verifier.warm())
    assert asyncio.run(verifier.verify_review(provider.token(aud="reviews"))).subject == "alice"
    for token, code in [
        (provider.token(exp=clock.now + 3601), "token_lifetime"),
        (provider.token("ec"), "algorithm_refused"),
        (provider.token(aud="reviews"), "wrong_audience"),
    ]:
        with pytest.raises(Unauthenticated) as caught:
            asyncio.run(verifier.verify_gateway(token))
        assert caught.value.code == code


def test_a_start_says_when_an_issuers_keys_cannot_be_had(provider: Provider, tmp_path: Path) -> None:
    issuer = Issuer(provider.url, provider.audience, ("RS256",), str(tmp_path / "missing.json"))
    verifier = verifier_from(Identity(embedded=False, issuers=(issuer,)), Review(), embedded=None)
    with pytest.raises(Unavailable):
        asyncio.run(verifier.warm())


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "ftp://127.0.0.1/keys",
        "file:///k",
    ],
)
def test_keys_are_not_fetched_where_somebody_on_the_way_could_change_them(
    provider: Provider, url: str
) -> None:
    issuer = Issuer(provider.url, provider.audience, ("RS256",), url)
    with pytest.raises(Misconfigured, match="https"):
        verifier_from(Identity(embedded=False, issuers=(issuer,)), Review(), embedded=None)


@pytest.mark.parametrize(
    "url",
    ["https://login.example.com/keys", "http://127.0.0.1:9/keys", "http://localhost:9/k", "http://[::1]:9/k"],
)
def test_keys_may_come_over_https_or_from_this_machine(provider: Provider, url: str) -> None:
    async def build() -> None:
        issuer = Issuer(provider.url, provider.audience, ("RS256",), url)
        verifier = verifier_from(Identity(embedded=False, issuers=(issuer,)), Review(), embedded=None)
        assert isinstance(verifier._issuers[provider.url].keys, KeyCache)
        await verifier.close()

    asyncio.run(build())


def test_no_issuer_at_all_is_an_error() -> None:
    with pytest.raises(Misconfigured):
        verifier_from(Identity(embedded=False), Review(), embedded=None)
    with pytest.raises(Misconfigured):
        verifier_from(Identity(), Review(), embedded=None)
