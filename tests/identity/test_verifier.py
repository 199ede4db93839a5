"""A good token becomes a caller; every other one is refused, and says why without repeating itself."""

from __future__ import annotations

import asyncio
import functools
import hmac
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.core.people import is_service_account
from authz_service.errors import Misconfigured, Unauthenticated
from authz_service.identity.claims import LEEWAY
from authz_service.identity.key_sources import FixedKeys
from authz_service.identity.keys import read_jwks
from authz_service.identity.token import LONGEST_TOKEN
from authz_service.identity.verifier import Verifier
from authz_service.view.caller import Caller

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

from tests.identity.verifying import NOW, gateway, refusal

Craft = Callable[[bytes, bytes, Callable[[bytes], bytes]], str]


@pytest.mark.parametrize("key", ["rsa", "ec", "ed"])
def test_a_good_token_of_each_kind_becomes_its_caller(
    verifier: Verifier, provider: Provider, key: str
) -> None:
    caller = gateway(verifier, provider.token(key))
    assert (caller.issuer, caller.subject) == (provider.url, "alice")
    assert caller.groups == ("staff",)
    assert caller.groups_complete
    assert caller.expires_at == NOW + 3600
    assert caller.claims["aud"] == provider.audience


BAD_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"exp": None}, "malformed_token"),
    ({"iat": None}, "malformed_token"),
    ({"sub": None}, "malformed_token"),
    ({"iss": None}, "malformed_token"),
    ({"aud": None}, "malformed_token"),
    ({"aud": []}, "malformed_token"),
    ({"aud": "another-gateway"}, "wrong_audience"),
    ({"aud": ["another-gateway"]}, "wrong_audience"),
    ({"aud": {"llm-gateway": 1}}, "wrong_audience"),
    ({"aud": "llm-gateway "}, "wrong_audience"),
    ({"aud": "authz-review"}, "wrong_audience"),
    ({"aud": ["llm-gateway", "authz-review"]}, "wrong_audience"),
    ({"iss": "https://evil.example.com"}, "unknown_issuer"),
    ({"iss": "https://login.example.com/realms/main/"}, "unknown_issuer"),
    ({"iss": ["https://login.example.com/realms/main"]}, "malformed_token"),
    ({"exp": NOW, "iat": NOW - 60}, "token_expired"),
    ({"exp": NOW - 1e6, "iat": NOW - 2e6}, "token_expired"),
    ({"iat": NOW + LEEWAY + 1}, "token_not_yet_valid"),
    ({"nbf": NOW + LEEWAY + 1}, "token_not_yet_valid"),
    ({"nbf": "soon"}, "malformed_token"),
    ({"exp": NOW + 86_401}, "token_lifetime"),
    ({"iat": NOW - 86_400, "exp": NOW + 1}, "token_lifetime"),
    ({"iat": 0}, "token_lifetime"),
    ({"exp": str(int(NOW) + 60)}, "malformed_token"),
    ({"exp": True}, "malformed_token"),
    ({"exp": 1e300}, "malformed_token"),
    ({"exp": 10**400}, "malformed_token"),
    ({"exp": float("inf")}, "malformed_token"),
    ({"exp": float("nan")}, "malformed_token"),
    ({"iat": -1}, "malformed_token"),
    ({"sub": ""}, "malformed_token"),
    ({"sub": 7}, "malformed_token"),
    ({"sub": "a" * 513}, "malformed_token"),
    ({"sub": "alice\x1b[2J"}, "malformed_token"),
    ({"sub": "al\u202eice"}, "malformed_token"),
    ({"sub": "\ud800"}, "malformed_token"),
    ({"note": "\ud800"}, "malformed_token"),
    ({"note": 10**30}, "malformed_token"),
    ({"jti": 7}, "malformed_token"),
    ({"jti": ["tok"]}, "malformed_token"),
    ({"groups": {"staff": True}}, "malformed_token"),
    ({"groups": ["staff", 7]}, "malformed_token"),
]


@pytest.mark.parametrize(("changes", "code"), BAD_CLAIMS, ids=[str(c)[:60] for c, _ in BAD_CLAIMS])
def test_a_well_signed_token_with_a_bad_claim_is_refused(
    verifier: Verifier, provider: Provider, changes: dict[str, Any], code: str
) -> None:
    assert refusal(verifier, provider.token(**changes)) == code


BAD_HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"crit": ["exp"]}, "malformed_token"),
    ({"crit": []}, "malformed_token"),
    ({"jku": "https://evil.example.com/keys"}, "malformed_token"),
    ({"x5u": "https://evil.example.com/chain"}, "malformed_token"),
    ({"jwk": {"kty": "oct", "k": "AA"}}, "malformed_token"),
    ({"b64": False}, "malformed_token"),
    ({"zip": "DEF"}, "malformed_token"),
    ({"typ": "dpop+jwt"}, "malformed_token"),
    ({"typ": "logout+jwt"}, "malformed_token"),
    ({"typ": 7}, "malformed_token"),
    ({"kid": 7}, "malformed_token"),
    ({"kid": "nobody"}, "unknown_key"),
    ({"kid": "../../dev/null"}, "unknown_key"),
    ({"kid": "ec"}, "unknown_key"),
    ({"alg": "RS512"}, "algorithm_refused"),
    ({"alg": "none"}, "algorithm_refused"),
    ({"alg": "None"}, "algorithm_refused"),
    ({"alg": "HS256"}, "algorithm_refused"),
    ({"alg": ["RS256"]}, "malformed_token"),
    ({"alg": None}, "malformed_token"),
    ({"alg": "ES256"}, "unknown_key"),
]


@pytest.mark.parametrize(("header", "code"), BAD_HEADERS, ids=[str(h) for h, _ in BAD_HEADERS])
def test_a_header_that_asks_for_another_way_to_verify_is_refused(
    verifier: Verifier, provider: Provider, header: dict[str, Any], code: str
) -> None:
    assert refusal(verifier, provider.token(header=header)) == code


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_access_tokens_of_rfc_9068_are_accepted(verifier: Verifier, provider: Provider, typ: str) -> None:
    assert gateway(verifier, provider.token(header={"typ": typ})).subject == "alice"


@pytest.mark.parametrize("signature", [b"", b"\0"])
def test_a_token_without_a_signature_is_refused(
    verifier: Verifier, provider: Provider, craft: Craft, signature: bytes
) -> None:
    content = json.dumps(provider.claims()).encode()
    for algorithm in (b"none", b"RS256"):
        token = craft(b'{"alg":"%s","kid":"rsa"}' % algorithm, content, lambda _: signature)
        assert refusal(verifier, token) in {"malformed_token", "algorithm_refused", "bad_signature"}


def test_the_public_key_is_no_shared_secret(provider: Provider, clock: Clock, craft: Craft) -> None:
    public = provider.keys["rsa"].public_key()
    content = json.dumps(provider.claims()).encode()
    verifier = Verifier([provider.trusted()], review_audience=provider.review, clock=clock)
    for encoding, form in [
        ("PEM", "SubjectPublicKeyInfo"),
        ("DER", "SubjectPublicKeyInfo"),
        ("PEM", "PKCS1"),
    ]:
        secret = public.public_bytes(
            getattr(serialization.Encoding, encoding), getattr(serialization.PublicFormat, form)
        )
        sign = functools.partial(_hs256, secret)
        token = craft(b'{"alg":"HS256","kid":"rsa"}', content, sign)
        assert refusal(verifier, token) == "algorithm_refused"


def _hs256(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, "sha256")


def test_no_configuration_can_allow_a_shared_secret_or_no_signature(provider: Provider) -> None:
    for algorithms in [("HS256",), ("none",), ("RS256", "HS512"), ()]:
        with pytest.raises(Misconfigured, match="algorithms"):
            provider.trusted(algorithms=algorithms)


def test_a_key_that_is_not_the_issuers_is_refused(verifier: Verifier, provider: Provider) -> None:
    assert refusal(verifier, provider.token("other")) == "unknown_key"
    assert refusal(verifier, provider.token("other", header={"kid": "rsa"})) == "bad_signature"


def test_an_rsa_key_of_1024_bits_is_refused(verifier: Verifier, provider: Provider) -> None:
    assert refusal(verifier, provider.token("small")) == "unknown_key"


def test_one_issuers_key_does_not_sign_for_another(provider: Provider, clock: Clock) -> None:
    first = provider.trusted(keys=FixedKeys(*read_jwks(provider.jwks("rsa"))))
    second = provider.trusted(url="https://second", keys=FixedKeys(*read_jwks(provider.jwks("other"))))
    verifier = Verifier([first, second], review_audience=provider.review, clock=clock)
    assert gateway(verifier, provider.token("other", iss="https://second")).issuer == "https://second"
    assert refusal(verifier, provider.token("rsa", iss="https://second")) == "unknown_key"
    assert (
        refusal(verifier, provider.token("rsa", iss="https://second", header={"kid": "other"}))
        == "bad_signature"
    )


def test_a_token_without_key_id_needs_an_issuer_with_one_fitting_key(
    provider: Provider, clock: Clock
) -> None:
    def verify(*names: str) -> Caller:
        keys = FixedKeys(*read_jwks(provider.jwks(*names)))
        verifier = Verifier([provider.trusted(keys=keys)], review_audience=provider.review, clock=clock)
        return gateway(verifier, provider.token(header={"kid": None}))

    assert verify("rsa", "ec", "small").subject == "alice"
    with pytest.raises(Unauthenticated, match="key"):
        verify("rsa", "other")


@pytest.mark.parametrize("length", [LONGEST_TOKEN + 1, 40 * 1024])
def test_a_long_token_is_refused_before_it_is_read(
    verifier: Verifier, provider: Provider, length: int
) -> None:
    assert refusal(verifier, "a" * length) == "token_too_large"
    assert refusal(verifier, provider.token(note="x" * length)) == "token_too_large"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "sk-proj-1234567890",
        "é.é.é",
        "\x00",
        "e30.e30.e30",
        "\ud800",
    ],
)
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    assert refusal(verifier, token) == "malformed_token"


@pytest.mark.parametrize("nested", [b"[" * 11_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000])
def test_deep_json_is_refused_and_breaks_nothing(
    verifier: Verifier, provider: Provider, craft: Craft, nested: bytes
) -> None:
    assert refusal(verifier, craft(nested, b"{}", lambda _: b"x")) == "malformed_token"
    assert refusal(verifier, craft(b'{"alg":"RS256"}', nested, lambda _: b"x")) == "malformed_token"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_a_token_with_any_change_is_refused(
    verifier: Verifier, provider: Provider, data: st.DataObject
) -> None:
    token = provider.token("ed")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCabc012-_.=é ").filter(lambda c: c != token[place]))
    changed = data.draw(
        st.sampled_from(
            [token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :], token[:place]]
        )
    )
    refusal(verifier, changed)


def test_the_two_doors_take_none_of_each_others_tokens(verifier: Verifier, provider: Provider) -> None:
    assert asyncio.run(verifier.verify_review(provider.token(aud="authz-review"))).subject == "alice"
    for audience in ["llm-gateway", ["authz-review", "llm-gateway"], "other"]:
        with pytest.raises(Unauthenticated) as caught:
            asyncio.run(verifier.verify_review(provider.token(aud=audience)))
        assert caught.value.code == "wrong_audience"


@pytest.mark.parametrize(
    "sign", [{"azp": "alice"}, {"gty": "client-credentials"}, {"owner": "olga"}, {"idtyp": "app"}, {}]
)
def test_both_doors_take_the_same_tokens_for_a_services(
    verifier: Verifier, provider: Provider, sign: dict[str, Any]
) -> None:
    token = provider.token(scope="model:llama", **sign)
    reviewer = asyncio.run(verifier.verify_review(provider.token(aud="authz-review", **sign)))
    assert gateway(verifier, token).scope == (("model:llama",) if sign else None)
    assert is_service_account(reviewer) == bool(sign)


def test_the_doors_of_two_issuers_are_not_the_review_apis(provider: Provider, clock: Clock) -> None:
    issuers = [provider.trusted(), provider.trusted(url="https://second", audience="second-gateway")]
    verifier = Verifier(issuers, review_audience=provider.review, clock=clock)
    with pytest.raises(Unauthenticated, match="one for each"):
        asyncio.run(verifier.verify_review(provider.token(aud=["authz-review", "second-gateway"])))


def test_a_verifier_that_could_mix_up_its_doors_is_not_built(provider: Provider) -> None:
    with pytest.raises(Misconfigured, match=r"review\.audience"):
        Verifier([provider.trusted()], review_audience=provider.audience)
    with pytest.raises(Misconfigured, match="listed twice"):
        Verifier([provider.trusted(), provider.trusted()], review_audience=provider.review)
    with pytest.raises(Misconfigured, match="no issuer"):
        Verifier([], review_audience=provider.review)
    with pytest.raises(Misconfigured, match="not a URL"):
        provider.trusted(url="person")
