"""A configuration's issuers become one verifier, or an error that names the issuer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.identity.provider import NOW
from tests.identity.stand_in import Graph, standing_in

from authz_service.config.identity_values import EntraDirectory, Identity, Issuer, Lookup
from authz_service.config.model import Review
from authz_service.errors import Misconfigured, Unauthenticated, Unavailable
from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.identity.key_cache import KeyCache
from authz_service.identity.trust import verifier_from
from authz_service.view.caller import Caller

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
        issuer = Issuer(provider.url, provider.audience, ("RS256",), url, stale_keys=7200.0)
        verifier = verifier_from(Identity(embedded=False, issuers=(issuer,)), Review(), embedded=None)
        keys = verifier._issuers[provider.url].keys
        assert isinstance(keys, KeyCache)
        assert keys._longest_outage == 7200.0
        await verifier.close()

    asyncio.run(build())


def test_no_issuer_at_all_is_an_error() -> None:
    with pytest.raises(Misconfigured):
        verifier_from(Identity(embedded=False), Review(), embedded=None)
    with pytest.raises(Misconfigured):
        verifier_from(Identity(), Review(), embedded=None)


def test_a_lookup_is_wired_to_its_directory_and_needs_its_secret(provider: Provider, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(provider.jwks("ed"))
    secret = tmp_path / "graph.secret"

    async def scenario() -> None:
        graph = Graph(members={"alice-id": ["g1", "g2"]})
        async with standing_in(graph):
            entra = EntraDirectory("our-tenant", "our-app", secret, login=graph.url, api=graph.url)
            issuer = Issuer(
                provider.url, provider.audience, ("EdDSA",), str(keys), lookup=Lookup(entra, "oid")
            )
            identity = Identity(embedded=False, issuers=(issuer,))
            with pytest.raises(Misconfigured, match=r"graph\.secret"):
                verifier_from(identity, Review(), embedded=None)
            secret.write_text("s3cret\n")
            secret.chmod(0o600)
            verifier = verifier_from(identity, Review(), embedded=None, clock=lambda: NOW)
            try:
                overage: dict[str, Any] = {
                    "groups": None,
                    "_claim_names": {"groups": "src1"},
                    "oid": "alice-id",
                }
                caller = await verifier.verify_gateway(provider.token("ed", **overage))
                assert (caller.groups, caller.groups_complete) == (("g1", "g2"), True)
            finally:
                await verifier.close()
            graph.members["alice@example.com"] = ["g3"]
            by_email = replace(issuer, lookup=Lookup(entra, "email"), person="email", unverified_email=True)
            trusting = Identity(embedded=False, issuers=(by_email,))
            verifier = verifier_from(trusting, Review(), embedded=None, clock=lambda: NOW)
            try:
                token = provider.token("ed", **overage, email="alice@example.com")
                assert (await verifier.verify_gateway(token)).groups == ("g3",)
            finally:
                await verifier.close()

    asyncio.run(scenario())


def test_what_is_said_of_groups_and_people_is_honoured(provider: Provider, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(provider.jwks("ed"))
    settings: dict[str, Any] = {"groups_cut": 2, "groups_without_slash": True, "person": "email"}
    issuer = Issuer(provider.url, provider.audience, ("EdDSA",), str(keys), **settings)

    def verified(issuer: Issuer, **claims: Any) -> Caller:
        identity = Identity(embedded=False, issuers=(issuer,))
        verifier = verifier_from(identity, Review(), embedded=None, clock=lambda: NOW)
        return asyncio.run(verifier.verify_gateway(provider.token("ed", **claims)))

    caller = verified(issuer, email="A@example.com", email_verified=True, groups=["/a", "/b"])
    assert (caller.groups, caller.groups_complete, caller.person) == (("a", "b"), False, "a@example.com")
    with pytest.raises(Unauthenticated, match="email"):
        verified(issuer, email="a@example.com")
    assert verified(replace(issuer, unverified_email=True), email="a@example.com").person == "a@example.com"
