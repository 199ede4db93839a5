"""The embedded issuer signs tokens that the verifier accepts, with a key that only this machine has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from authz_service.config.model import Review
from authz_service.errors import Forbidden, Misconfigured, Unauthenticated
from authz_service.identity.embedded import EMBEDDED_ISSUER, GATEWAY_AUDIENCE, LONGEST_TTL, EmbeddedIssuer
from authz_service.identity.trust import trusted_embedded
from authz_service.identity.verifier import Verifier

if TYPE_CHECKING:
    from tests.identity.conftest import Clock

NOW = 1_800_000_000.0


@pytest.fixture
def issuer(tmp_path: Path) -> EmbeddedIssuer:
    return EmbeddedIssuer.load(tmp_path / "issuer.pem")


def verifier_of(issuer: EmbeddedIssuer, clock: Clock) -> Verifier:
    return Verifier([trusted_embedded(issuer)], review_audience=Review().audience, clock=clock)


def signed(issuer: EmbeddedIssuer, **changes: Any) -> str:
    settings: dict[str, Any] = {"audience": GATEWAY_AUDIENCE, "ttl": 3600, "now": NOW}
    return issuer.sign("alice", ("staff", "security"), **(settings | changes))


def test_a_token_of_ours_verifies_with_all_that_it_says(issuer: EmbeddedIssuer, clock: Clock) -> None:
    caller = asyncio.run(
        verifier_of(issuer, clock).verify_gateway(signed(issuer, owner="bob", scope=("model:llama",)))
    )
    assert (caller.issuer, caller.subject, caller.groups) == (EMBEDDED_ISSUER, "alice", ("staff", "security"))
    assert caller.groups_complete
    assert caller.expires_at == NOW + 3600
    assert (caller.claims["owner"], caller.scope) == ("bob", ("model:llama",))


def test_a_service_account_without_a_scope_gets_nothing(issuer: EmbeddedIssuer, clock: Clock) -> None:
    with pytest.raises(Forbidden) as refused:
        asyncio.run(verifier_of(issuer, clock).verify_gateway(signed(issuer, owner="bob")))
    assert refused.value.code == "no_scope"


def test_somebody_without_groups_is_known_to_have_none(issuer: EmbeddedIssuer, clock: Clock) -> None:
    token = issuer.sign("bob", (), audience=GATEWAY_AUDIENCE, ttl=60, now=NOW)
    caller = asyncio.run(verifier_of(issuer, clock).verify_gateway(token))
    assert caller.groups == ()
    assert caller.groups_complete


def test_a_token_for_one_door_does_not_open_the_other(issuer: EmbeddedIssuer, clock: Clock) -> None:
    verifier = verifier_of(issuer, clock)
    review = signed(issuer, audience=Review().audience)
    assert asyncio.run(verifier.verify_review(review)).subject == "alice"
    with pytest.raises(Unauthenticated):
        asyncio.run(verifier.verify_gateway(review))
    with pytest.raises(Unauthenticated):
        asyncio.run(verifier.verify_review(signed(issuer)))


def test_the_longest_token_of_ours_is_accepted_whatever_part_of_a_second_it_is_made_in(
    issuer: EmbeddedIssuer, clock: Clock
) -> None:
    for fraction in (0.0, 0.4, 0.999):
        token = signed(issuer, ttl=LONGEST_TTL, now=NOW + fraction)
        assert asyncio.run(verifier_of(issuer, clock).verify_gateway(token)).subject == "alice"


def test_the_key_is_made_once_and_kept_private(tmp_path: Path, clock: Clock) -> None:
    first, second = (EmbeddedIssuer.load(tmp_path / "issuer.pem") for _ in range(2))
    assert first.key == second.key
    assert (tmp_path / "issuer.pem").stat().st_mode & 0o777 == 0o600
    assert asyncio.run(verifier_of(second, clock).verify_gateway(signed(first))).subject == "alice"


def test_another_machines_issuer_is_not_ours(issuer: EmbeddedIssuer, tmp_path: Path, clock: Clock) -> None:
    foreign = EmbeddedIssuer.load(tmp_path / "foreign.pem")
    with pytest.raises(Unauthenticated) as caught:
        asyncio.run(verifier_of(issuer, clock).verify_gateway(signed(foreign)))
    assert caught.value.code == "unknown_key"


@pytest.mark.parametrize(
    "content", [b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"]
)
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "issuer.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"issuer\.pem"):
        EmbeddedIssuer.load(path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "issuer.pem"
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="Ed25519"):
        EmbeddedIssuer.load(path)


@pytest.mark.parametrize("ttl", [0, 0.5, -1, LONGEST_TTL + 1, float("nan"), float("inf")])
def test_a_lifetime_out_of_bounds_is_not_signed(issuer: EmbeddedIssuer, ttl: float) -> None:
    with pytest.raises(ValueError, match="valid for"):
        signed(issuer, ttl=ttl)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 513, "\x1b[31m"])
def test_a_name_that_the_verifier_would_refuse_is_not_signed(issuer: EmbeddedIssuer, name: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        issuer.sign(name, (), audience="a", ttl=60, now=NOW)
    with pytest.raises(ValueError, match="printable"):
        issuer.sign("alice", (name,), audience="a", ttl=60, now=NOW)
    with pytest.raises(ValueError, match="printable"):
        signed(issuer, owner=name, scope=("model:*",))


@pytest.mark.parametrize("word", ["", "llama", "model:", "model:a b", "tokens:0", "openid"])
def test_a_word_that_no_scope_has_is_not_signed(issuer: EmbeddedIssuer, word: str) -> None:
    with pytest.raises(ValueError, match="a scope has words"):
        signed(issuer, owner="bob", scope=("model:llama", word))
