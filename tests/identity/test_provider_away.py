"""A provider that is away, or asked for a thousand keys that it never had, takes nothing from its callers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.identity.key_server import KeyServer, serving

from authz_service.errors import Unauthenticated
from authz_service.identity import key_cache
from authz_service.identity.jwks_url import Discovery
from authz_service.identity.key_cache import KeyCache
from authz_service.identity.verifier import Verifier

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

OPENID = "/.well-known/openid-configuration"
NOW = 1_800_000_000.0
Scene = Callable[[KeyServer, Verifier, str], Awaitable[None]]


@pytest.fixture
def play(provider: Provider, clock: Clock) -> Callable[[Scene], None]:
    """Runs a scene with a verifier that has the provider's keys from its server, and the issuer's URL."""

    async def run(scene: Scene) -> None:
        async with serving() as (server, issuer), httpx.AsyncClient(trust_env=False) as client:
            metadata = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
            server.publish(json.dumps(metadata).encode(), path=OPENID)
            server.publish(provider.jwks("rsa", "ed"), path="/keys")
            keys = KeyCache(Discovery(issuer, client), clock=clock)
            trusted = provider.trusted(url=issuer, keys=keys)
            verifier = Verifier([trusted], review_audience=provider.review, clock=clock)
            try:
                await verifier.warm()
                await scene(server, verifier, issuer)
            finally:
                server.gate.set()
                await verifier.close()

    return lambda scene: asyncio.run(run(scene))


@pytest.mark.parametrize("away", ["closed", "silent", "failing", "a page", "other keys' issuer"])
def test_nobody_with_a_known_key_is_refused_while_the_provider_is_away_for_an_hour(
    play: Callable[[Scene], None],
    clock: Clock,
    provider: Provider,
    away: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(server: KeyServer, verifier: Verifier, issuer: str) -> None:
        monkeypatch.setattr(key_cache, "LONGEST_FETCH", 0.05)  # the clock goes on only once a fetch has ended
        match away:
            case "silent":
                server.gate.clear()
            case "closed":
                server.answers = {}  # with nothing to say the connection is closed
            case "failing":
                server.publish(b"", status="500 Internal Server Error", path=OPENID)
            case "a page":
                server.publish(b"<html>", path=OPENID)
            case _:
                server.publish(b'{"issuer": "https://evil.example", "jwks_uri": "https://e/k"}', path=OPENID)
        remembered = provider.token("ed", iss=issuer, exp=NOW + 7200)
        for minute in range(60):
            fresh = provider.token(
                "ed", iss=issuer, sub=f"person-{minute}", iat=clock.now, exp=clock.now + 60
            )
            assert (await verifier.verify_gateway(fresh)).subject == f"person-{minute}"
            assert (await verifier.verify_gateway(remembered)).subject == "alice"
            fetch = verifier._issuers[issuer].keys._fetch  # type: ignore[attr-defined]  # that of a KeyCache
            await fetch
            clock.now += 60

    play(scene)


def test_a_thousand_random_key_ids_in_a_second_cause_at_most_one_fetch(
    play: Callable[[Scene], None], provider: Provider
) -> None:
    async def scene(server: KeyServer, verifier: Verifier, issuer: str) -> None:
        at_start = server.paths.count("/keys")
        tokens = [provider.token("ed", iss=issuer, header={"kid": f"random-{n}"}) for n in range(1000)]
        outcomes: list[object] = []
        for wave in range(10):  # some at once, and some when the fetch is over
            verifying = (verifier.verify_gateway(token) for token in tokens[wave::10])
            outcomes += await asyncio.gather(*verifying, return_exceptions=True)
        codes = {outcome.code for outcome in outcomes if isinstance(outcome, Unauthenticated)}
        assert (len(outcomes), codes) == (1000, {"unknown_key"})
        assert server.paths.count("/keys") - at_start == 1
        assert (await verifier.verify_gateway(provider.token("ed", iss=issuer))).subject == "alice"

    play(scene)


def test_keys_change_without_a_refused_request(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, verifier: Verifier, issuer: str) -> None:
        old = provider.token("rsa", iss=issuer)
        await verifier.verify_gateway(old)
        server.publish(provider.jwks("rsa", "ec"), path="/keys")
        for key in ("ec", "rsa", "ec"):
            token = provider.token(key, iss=issuer, sub=f"with-{key}")
            assert (await verifier.verify_gateway(token)).subject == f"with-{key}"
        server.publish(provider.jwks("ec"), path="/keys")
        clock.now += 600
        with pytest.raises(Unauthenticated):
            await verifier.verify_gateway(old)

    play(scene)


@pytest.mark.parametrize("kid", [None, "one"])
def test_a_key_without_an_id_or_under_the_id_of_the_last_one_is_found_by_its_first_token(
    play: Callable[[Scene], None], clock: Clock, provider: Provider, kid: str | None
) -> None:
    def published(name: str) -> bytes:
        key = {member: value for member, value in provider.jwk(name, kid=kid).items() if value is not None}
        return json.dumps({"keys": [key]}).encode()

    async def scene(server: KeyServer, verifier: Verifier, issuer: str) -> None:
        server.publish(published("rsa"), path="/keys")
        clock.now += 600
        old = provider.token("rsa", iss=issuer, header={"kid": kid})
        assert (await verifier.verify_gateway(old)).subject == "alice"
        server.publish(published("other"), path="/keys")
        new = provider.token("other", iss=issuer, header={"kid": kid}, sub="bob")
        assert (await verifier.verify_gateway(new)).subject == "bob"
        with pytest.raises(Unauthenticated, match="signature"):
            await verifier.verify_gateway(old)

    play(scene)


def test_a_thousand_bad_signatures_in_a_second_cause_at_most_one_fetch(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, verifier: Verifier, issuer: str) -> None:
        good = provider.token("ed", iss=issuer)
        signatures = (base64.urlsafe_b64encode(n.to_bytes(64)).decode() for n in range(1000))
        forged = [f"{good.rpartition('.')[0]}.{signature.rstrip('=')}" for signature in signatures]
        at_start = server.paths.count("/keys")
        for wave in range(10):
            verifying = (verifier.verify_gateway(token) for token in forged[wave::10])
            for outcome in await asyncio.gather(*verifying, return_exceptions=True):
                assert isinstance(outcome, Unauthenticated)
                assert outcome.code == "bad_signature"
        assert server.paths.count("/keys") - at_start == 1
        assert (await verifier.verify_gateway(good)).subject == "alice"

    play(scene)
