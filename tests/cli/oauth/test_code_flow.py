"""The authorization code flow: what is sent, and which answers count."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from authz_cli.exits import Failure
from authz_cli.oauth.client import Client
from authz_cli.oauth.code_flow import Attempt, authorization_url, code_in
from authz_cli.oauth.provider import Provider

ISSUER = "https://login.example.com"
PROVIDER = Provider(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token", names_itself=True)
SILENT = Provider(ISSUER, f"{ISSUER}/auth?tenant=a", f"{ISSUER}/token")
CLIENT = Client(ISSUER, "cli", resource="urn:review")


def test_the_browser_is_sent_with_a_challenge_and_never_with_the_verifier() -> None:
    attempt = Attempt.new()
    url = authorization_url(PROVIDER, CLIENT, attempt, "http://127.0.0.1:5/callback")
    asked = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    digest = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest())
    assert asked["code_challenge"] == digest.rstrip(b"=").decode()
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert (asked["state"], asked["nonce"], asked["resource"]) == (attempt.state, attempt.nonce, "urn:review")
    assert attempt.verifier not in url


def test_a_query_that_the_endpoint_has_stays() -> None:
    url = authorization_url(SILENT, CLIENT, Attempt.new(), "http://127.0.0.1:5/callback")
    assert url.startswith(f"{ISSUER}/auth?tenant=a&response_type=code")


def test_no_two_attempts_are_alike_and_each_has_256_bits() -> None:
    first, second = Attempt.new(), Attempt.new()
    values = [first.state, first.nonce, first.verifier, second.state, second.nonce, second.verifier]
    assert len(set(values)) == 6
    assert all(len(value) == 43 for value in values)


@pytest.mark.parametrize("query", ["", "state=", "state=other", "state={0}&state={0}", "State={0}"])
def test_an_answer_without_our_state_is_none_of_ours(query: str) -> None:
    attempt = Attempt.new()
    assert not attempt.is_answered_by(query.format(attempt.state))
    assert attempt.is_answered_by(f"code=x&state={attempt.state}")


def test_the_code_is_taken_from_the_provider_that_was_asked() -> None:
    assert code_in(urlencode({"code": "abc", "iss": ISSUER}), PROVIDER) == "abc"
    assert code_in("code=abc", SILENT) == "abc"


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        (PROVIDER, "code=abc"),
        (PROVIDER, "code=abc&iss=https%3A%2F%2Fevil.example"),
        (SILENT, "code=abc&iss=https%3A%2F%2Fevil.example"),
        (PROVIDER, f"code=abc&iss={ISSUER}&iss=https%3A%2F%2Fevil.example"),
        (PROVIDER, "error=access_denied"),
    ],
)
def test_an_answer_of_another_provider_or_of_none_is_refused(provider: Provider, answer: str) -> None:
    with pytest.raises(Failure, match="another provider"):
        code_in(answer, provider)


@pytest.mark.parametrize("answer", ["", "code=a&code=b"])
def test_one_code_is_expected(answer: str) -> None:
    with pytest.raises(Failure, match="no code"):
        code_in(answer, SILENT)


def test_a_refusal_is_told_in_the_providers_words_without_control_characters() -> None:
    with pytest.raises(Failure) as caught:
        code_in("error=access_denied&error_description=No%1b%5b2Jway", SILENT)
    message = caught.value.format_message()
    assert "access_denied" in message
    assert "\x1b" not in message
