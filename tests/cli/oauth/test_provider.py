"""A provider's metadata: whose it must be, and where it may lead."""

from __future__ import annotations

import pytest
from tests.cli.oauth.conftest import ScriptedProvider

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.asking import LARGEST_ANSWER, ask
from authz_cli.oauth.provider import discover

OPENID = "/.well-known/openid-configuration"


def test_the_endpoints_are_those_of_the_metadata(provider: ScriptedProvider) -> None:
    found = discover(provider.issuer)
    assert (found.authorization, found.token) == (f"{provider.issuer}/auth", f"{provider.issuer}/token")
    assert (found.device, found.names_itself) == (f"{provider.issuer}/device", False)


def test_metadata_of_rfc_8414_will_do(provider: ScriptedProvider) -> None:
    provider.answers["/.well-known/oauth-authorization-server"] = provider.answers.pop(OPENID)
    assert discover(provider.issuer).token == f"{provider.issuer}/token"


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ""},
        {"token_endpoint": ""},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": "http://evil.example/auth"},
        {"device_authorization_endpoint": "file:///etc/passwd"},
    ],
)
def test_metadata_of_another_or_over_plain_http_is_refused(
    provider: ScriptedProvider, changes: dict[str, object]
) -> None:
    provider.answers[OPENID] = [(200, provider.metadata(**changes))]
    with pytest.raises(Failure):
        discover(provider.issuer)


@pytest.mark.parametrize("issuer", ["http://login.example.com", "login.example.com", "https://u:p@host"])
def test_an_issuer_is_an_https_url(issuer: str) -> None:
    with pytest.raises(Failure, match="https") as caught:
        discover(issuer)
    assert caught.value.exit_code == Exit.USAGE


def test_redirects_are_not_followed(provider: ScriptedProvider) -> None:
    provider.answers[OPENID] = [(302, {})]
    with pytest.raises(Failure, match="no metadata"):
        discover(provider.issuer)
    assert "/elsewhere" not in [path for path, _ in provider.asked]


def test_an_answer_without_end_is_not_read_to_it(provider: ScriptedProvider) -> None:
    provider.answers["/token"] = [(200, b" " * (LARGEST_ANSWER + 1))]
    with pytest.raises(Failure, match="larger"):
        ask(f"{provider.issuer}/token")


def test_a_provider_that_is_away_is_said_to_be(provider: ScriptedProvider) -> None:
    with pytest.raises(Failure, match="within reach") as caught:
        ask("http://127.0.0.1:9/token", {"refresh_token": "very-secret"})
    assert caught.value.exit_code == Exit.AWAY
    assert "very-secret" not in caught.value.format_message()
