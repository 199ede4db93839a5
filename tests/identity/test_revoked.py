"""A withdrawn token is refused although nothing is wrong with it; others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unauthenticated, Unavailable
from authz_service.identity.revoked import RevokedTokens
from authz_service.identity.verifier import Verifier
from authz_service.view.caller import Caller

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

NOW = 1_800_000_000.0


def revocation(issuer: str, by: RevokedBy, value: str, until: float | None = None) -> Revocation:
    return Revocation(Revoked(issuer, by, value), until, "left", "olga", NOW)


def is_refused(verifier: Verifier, token: str, *, review: bool = False) -> bool:
    verify = verifier.verify_review if review else verifier.verify_gateway
    outcome = asyncio.run(_outcome(verify(token)))
    if isinstance(outcome, Unauthenticated) and outcome.code == "token_revoked":
        return True
    assert isinstance(outcome, Caller), outcome
    return False


async def _outcome(verifying: Coroutine[Any, Any, Caller]) -> Caller | BaseException:
    return (await asyncio.gather(verifying, return_exceptions=True))[0]


def test_one_token_or_all_of_a_subject_are_refused_at_once_remembered_or_not(
    verifier: Verifier, provider: Provider
) -> None:
    one, two = provider.token(jti="one"), provider.token(jti="two")
    bob = provider.token(sub="bob", jti="three")
    assert not any(is_refused(verifier, token) for token in (one, two, bob))
    verifier.revoked.replace([revocation(provider.url, RevokedBy.TOKEN, "one")])
    assert [is_refused(verifier, token) for token in (one, two, bob)] == [True, False, False]
    verifier.revoked.replace([revocation(provider.url, RevokedBy.SUBJECT, "alice")])
    assert [is_refused(verifier, token) for token in (one, two, bob)] == [True, True, False]
    assert is_refused(verifier, provider.token(aud=provider.review), review=True)
    verifier.revoked.replace([])
    assert not any(is_refused(verifier, token) for token in (one, two, bob))


@pytest.mark.parametrize(
    ("issuer", "by", "value"),
    [
        ("https://other.example", RevokedBy.SUBJECT, "alice"),
        ("https://other.example", RevokedBy.TOKEN, "one"),
        (None, RevokedBy.SUBJECT, "one"),
        (None, RevokedBy.TOKEN, "alice"),
        (None, RevokedBy.SUBJECT, "Alice"),
    ],
)
def test_what_is_revoked_elsewhere_or_otherwise_is_another(
    verifier: Verifier, provider: Provider, issuer: str | None, by: RevokedBy, value: str
) -> None:
    verifier.revoked.replace([revocation(issuer or provider.url, by, value)])
    assert not is_refused(verifier, provider.token(jti="one"))


@pytest.mark.parametrize("jti", [None, "", "ONE"])
def test_a_token_without_that_id_is_another_token(verifier: Verifier, provider: Provider, jti: Any) -> None:
    verifier.revoked.replace([revocation(provider.url, RevokedBy.TOKEN, "one")])
    assert not is_refused(verifier, provider.token(jti=jti))


def test_a_revocation_ends_with_its_time(verifier: Verifier, provider: Provider, clock: Clock) -> None:
    token = provider.token(jti="one")
    verifier.revoked.replace([revocation(provider.url, RevokedBy.TOKEN, "one", NOW + 60)])
    clock.now = NOW + 59.5
    assert is_refused(verifier, token)
    clock.now = NOW + 60
    assert not is_refused(verifier, token)


def test_a_held_requests_token_may_be_withdrawn(verifier: Verifier, provider: Provider) -> None:
    caller = asyncio.run(verifier.verify_gateway(provider.token(jti="one")))
    verifier.revoked.replace([revocation(provider.url, RevokedBy.TOKEN, "one")])
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(verifier.recheck(caller))
    assert caught.value.code == "token_revoked"


def test_one_that_is_damaged_goes_on_as_it_was_known_or_else_keeps_out_its_issuer() -> None:
    here, other = "https://issuer.example", "https://other.example"
    stolen = Caller(here, "alice", 0.0, claims={"jti": "tok-1"})
    known = replace(revocation(here, RevokedBy.TOKEN, "tok-1"), entry=7)
    damaged = replace(known, what=Revoked(here, RevokedBy.TOKEN, ""), is_damaged=True)
    tokens = RevokedTokens(lambda: NOW)
    tokens.replace([known])
    for _ in range(2):
        tokens.replace([damaged])
        tokens.check(Caller(here, "bob", 0.0))
        with pytest.raises(Unauthenticated):
            tokens.check(stolen)
    started = RevokedTokens(lambda: NOW)
    started.replace([damaged])
    for caller in (stolen, Caller(here, "bob", 0.0)):
        with pytest.raises(Unavailable):
            started.check(caller)
    started.check(Caller(other, "bob", 0.0))
    started.replace([replace(damaged, what=Revoked("", RevokedBy.TOKEN, ""))])
    with pytest.raises(Unavailable):
        started.check(Caller(other, "bob", 0.0))
    started.replace([replace(damaged, until=NOW - 1)])
    started.check(stolen)


@pytest.mark.parametrize("longer_first", [True, False])
def test_of_two_of_the_same_tokens_the_longer_counts(longer_first: bool) -> None:
    here = "https://issuer.example"
    caller = Caller(here, "alice", 0.0, claims={"jti": "tok-1"})
    token = revocation(here, RevokedBy.TOKEN, "tok-1", NOW + 60)
    erased = replace(revocation(here, RevokedBy.SUBJECT, "", NOW + 60), pseudonym="p-alice")
    for longer in (token, erased):
        tokens = RevokedTokens(lambda: NOW, lambda who: f"p-{who[1]}")
        both = [longer, replace(longer, until=NOW - 1)]
        tokens.replace(both if longer_first else both[::-1])
        with pytest.raises(Unauthenticated):
            tokens.check(caller)
