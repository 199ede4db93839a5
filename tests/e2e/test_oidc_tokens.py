"""Bad tokens, and issuers that do not answer as they should, before a real Envoy: nothing gets through."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.e2e.identity_provider import AUDIENCE, FAULTS, IdentityProvider
from tests.e2e.issuers import config_with
from tests.e2e.stack import CHAT, Stack
from tests.identity.provider import compact

SETTINGS = f"audience: {AUDIENCE}, algorithms: [RS256]"


@pytest.fixture(scope="module")
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def stack(idp: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with issuers of which one works."""
    issuers = [idp.issuer(name) for name in ("main", *FAULTS)]
    with Stack(tmp_path_factory.mktemp("gateway"), config=config_with(issuers, SETTINGS)) as running:
        yield running


def ask(stack: Stack, headers: dict[str, str], *, query: str = "") -> httpx.Response:
    """One request with these credentials."""
    url = f"{stack.url}/v1/chat/completions{query}"
    return httpx.post(
        url, content=json.dumps(CHAT), headers=headers | {"content-type": "application/json"}, timeout=60
    )


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def none_signed(idp: IdentityProvider) -> str:
    return idp.token(header={"alg": "none"})


def unsigned(idp: IdentityProvider) -> str:
    return idp.token().rpartition(".")[0] + "."


def signed_with_the_public_key(idp: IdentityProvider) -> str:
    secret = idp.signer.keys["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    now = int(time.time())
    content = json.dumps(idp.signer.claims(iss=idp.issuer(), iat=now, exp=now + 600)).encode()
    return compact(
        b'{"alg":"HS256","kid":"rsa"}', content, lambda message: hmac.digest(secret, message, "sha256")
    )


def with_header(name: str, value: Any, idp: IdentityProvider) -> str:
    return idp.token(header={name: value})


def with_claims(idp: IdentityProvider, **seconds: float) -> str:
    now = int(time.time())
    changes: dict[str, Any] = {name: now + later for name, later in seconds.items()}
    return idp.token(**changes)


BAD: dict[str, tuple[Callable[[IdentityProvider], str], str]] = {
    "alg none": (none_signed, "algorithm_refused"),
    "no signature": (unsigned, "malformed_token"),
    "the public key as a secret": (signed_with_the_public_key, "algorithm_refused"),
    "an algorithm that is not configured": (lambda idp: idp.token("ec"), "algorithm_refused"),
    "a key id of nobody": (partial(with_header, "kid", "nobody"), "unknown_key"),
    "another's key under a known id": (
        lambda idp: idp.token("other", header={"kid": "rsa"}),
        "bad_signature",
    ),
    "an RSA key of 1024 bits": (lambda idp: idp.token("small"), "unknown_key"),
    "jku": (partial(with_header, "jku", "https://evil.example/keys"), "malformed_token"),
    "x5u": (partial(with_header, "x5u", "https://evil.example/chain"), "malformed_token"),
    "jwk": (lambda idp: idp.token(header={"jwk": idp.signer.jwk("rsa")}), "malformed_token"),
    "crit": (partial(with_header, "crit", ["exp"]), "malformed_token"),
    "40 KB": (lambda idp: idp.token(note="x" * 40_000), "token_too_large"),
    "another issuer": (lambda idp: idp.token(iss="https://evil.example"), "unknown_issuer"),
    "another audience": (lambda idp: idp.token(aud="another-gateway"), "wrong_audience"),
    "the review API's audience": (lambda idp: idp.token(aud="authz-review"), "wrong_audience"),
    "both audiences": (lambda idp: idp.token(aud=[AUDIENCE, "authz-review"]), "wrong_audience"),
    "no end": (lambda idp: idp.token(exp=None), "malformed_token"),
    "a clock that is 30 s ahead": (partial(with_claims, iat=30, exp=630), "token_not_yet_valid"),
    "a clock that is 30 s behind": (partial(with_claims, iat=-630, exp=-30), "token_expired"),
    "a year": (partial(with_claims, exp=365 * 86_400), "token_lifetime"),
    "no token": (lambda idp: "sk-proj-0123456789", "malformed_token"),
}


@pytest.mark.parametrize(("make", "code"), BAD.values(), ids=BAD)
def test_a_bad_token_is_refused_and_nothing_reaches_the_model(
    stack: Stack, idp: IdentityProvider, make: Callable[[IdentityProvider], str], code: str
) -> None:
    before, token = len(stack.upstream.requests), make(idp)
    answer = ask(stack, bearer(token))
    assert code_of(answer) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert len(stack.upstream.requests) == before
    assert all(part not in answer.text for part in token.split(".") if len(part) > 8)


def test_a_good_token_of_the_issuer_that_works_is_served(stack: Stack, idp: IdentityProvider) -> None:
    assert ask(stack, bearer(idp.token())).status_code == 200
    assert ask(stack, bearer(with_claims(idp, iat=8))).status_code == 200


def test_a_request_with_two_credentials_or_one_where_none_belongs_is_refused(
    stack: Stack, idp: IdentityProvider
) -> None:
    before, good, other = len(stack.upstream.requests), idp.token(), idp.token(sub="bob")
    both = ask(stack, bearer(good) | {"x-api-key": other})
    assert code_of(both) == (401, "ambiguous_credentials")
    for name in ("access_token", "api-key", "token"):
        assert code_of(ask(stack, {}, query=f"?{name}={good}")) == (401, "missing_token")
    assert code_of(ask(stack, {"authorization": f"Basic {good}"})) == (401, "unsupported_scheme")
    assert len(stack.upstream.requests) == before
    assert ask(stack, bearer(good) | {"api-key": good}).status_code == 200


SIGNS: dict[str, dict[str, str]] = {
    "its client is its subject": {"sub": "ci", "client_id": "ci"},
    "Entra": {"sub": "ci", "idtyp": "app"},
    "Auth0": {"sub": "ci@clients", "gty": "client-credentials"},
    "Keycloak": {"sub": "0a1b", "preferred_username": "service-account-ci"},
    "an owner": {"sub": "ci", "owner": "olga"},
}


@pytest.mark.parametrize("claims", SIGNS.values(), ids=SIGNS)
def test_a_service_account_without_a_scope_gets_nothing_and_with_one_what_is_in_it(
    stack: Stack, idp: IdentityProvider, claims: dict[str, str]
) -> None:
    before = len(stack.upstream.requests)
    assert code_of(ask(stack, bearer(idp.token(**claims)))) == (403, "no_scope")
    other = idp.token(**claims, scope="openid model:another")
    assert code_of(ask(stack, bearer(other))) == (403, "out_of_scope")
    assert len(stack.upstream.requests) == before
    assert ask(stack, bearer(idp.token(**claims, scope="openid model:llama"))).status_code == 200


@pytest.mark.parametrize("fault", FAULTS)
def test_an_issuer_whose_keys_cannot_be_had_is_answered_with_503_and_takes_nothing_from_others(
    stack: Stack, idp: IdentityProvider, fault: str
) -> None:
    before = len(stack.upstream.requests)
    answer = ask(stack, bearer(idp.token(issuer=fault)))
    assert code_of(answer) == (503, "unavailable")
    assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("true", "1")
    assert len(stack.upstream.requests) == before
    assert ask(stack, bearer(idp.token())).status_code == 200


def test_a_thousand_random_key_ids_cause_at_most_one_fetch_and_no_refusal_of_others(
    stack: Stack, idp: IdentityProvider
) -> None:
    good = idp.token(sub="dora")
    assert ask(stack, bearer(good)).status_code == 200
    fetched = idp.paths.count("/main/keys")
    tokens = [idp.token(header={"kid": f"random-{number}"}) for number in range(1000)]
    body, began = json.dumps(CHAT), time.monotonic()
    with httpx.Client(timeout=60) as client:

        def send(token: str) -> tuple[int, str]:
            headers = bearer(token) | {"content-type": "application/json"}
            url = f"{stack.url}/v1/chat/completions"
            return code_of(client.post(url, content=body, headers=headers))

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(send, tokens)) == {(401, "unknown_key")}
    half_minutes = 1 + int(time.monotonic() - began) // 30  # one on any machine that is not overloaded
    assert idp.paths.count("/main/keys") - fetched <= half_minutes
    assert ask(stack, bearer(good)).status_code == 200


def test_no_part_of_any_token_is_in_a_log_or_on_record(stack: Stack, idp: IdentityProvider) -> None:
    tokens = [make(idp) for make, _ in BAD.values()] + [idp.token(), idp.token(sub="canary", issuer="down")]
    for token in tokens:
        ask(stack, bearer(token))
    ask(stack, {}, query=f"?access_token={tokens[-1]}")
    ask(stack, bearer(idp.token()), query=f"?access_token={tokens[-1]}")
    ask(stack, bearer(idp.token()) | {"x-other-token": tokens[-1], "cookie": f"session={tokens[-1]}"})
    stack.cli("session", "list", "--json")
    everything = {path: path.read_bytes() for path in _files(stack.folder)}
    assert any(path.name == "authz.db" for path in everything)
    for token in tokens:
        for part in (part.encode() for part in token.split(".")[1:] if len(part) > 20):
            assert [path for path, content in everything.items() if part in content] == []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
