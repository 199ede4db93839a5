"""What the token endpoint gives: which grants are kept."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.cli.oauth.conftest import ScriptedProvider, unsigned

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.asking import Answer
from authz_cli.oauth.client import Client
from authz_cli.oauth.grants import Ended, exchange, read_grant, revoke
from authz_cli.oauth.provider import discover

ISSUER = "https://login.example.com"
CLIENT = Client(ISSUER, "cli", audience="authz-review")
END = int(time.time()) + 600


def answer(**changes: Any) -> Answer:
    said = {
        "token_type": "bearer",
        "access_token": unsigned(iss=ISSUER, sub="rita", aud=["authz-review", "other"], exp=END),
        "id_token": unsigned(iss=ISSUER, sub="rita", aud="cli", exp=END, nonce="n1"),
        "refresh_token": "r1",
    }
    return Answer(200, {name: value for name, value in (said | changes).items() if value is not None})


def test_a_good_grant_has_the_access_token_with_its_end() -> None:
    grant = read_grant(answer(), CLIENT, nonce="n1")
    assert (grant.subject, grant.expires_at, grant.refresh_token) == ("rita", END, "r1")


def test_where_id_tokens_are_shown_it_is_that_one() -> None:
    client = Client(ISSUER, "cli", is_id_token=True, audience="cli")
    said = answer(access_token="opaque")
    assert read_grant(said, client, nonce="n1").token == said.text("id_token")


@pytest.mark.parametrize(
    "identity",
    [
        unsigned(iss=ISSUER, sub="rita", aud="cli", exp=END, nonce="other"),
        unsigned(iss=ISSUER, sub="rita", aud="cli", exp=END),
        unsigned(iss="https://evil.example", sub="rita", aud="cli", exp=END, nonce="n1"),
        unsigned(iss=ISSUER, sub="rita", aud="another-client", exp=END, nonce="n1"),
        None,
        "opaque",
    ],
)
def test_an_id_token_that_is_not_for_this_login_ends_it(identity: str | None) -> None:
    with pytest.raises(Failure):
        read_grant(answer(id_token=identity), CLIENT, nonce="n1")


def test_a_token_for_another_audience_is_not_kept_and_both_are_named() -> None:
    token = unsigned(iss=ISSUER, sub="rita", aud="llm-gateway", exp=END)
    with pytest.raises(Failure, match=r"is for llm-gateway, and the server takes authz-review") as caught:
        read_grant(answer(access_token=token), CLIENT, nonce="n1")
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.!.c", None])
def test_an_opaque_token_is_not_kept_since_no_server_of_ours_could_verify_it(token: str | None) -> None:
    with pytest.raises(Failure, match="opaque"):
        read_grant(answer(access_token=token), CLIENT, nonce="n1")


def test_a_token_of_another_type_is_not_kept() -> None:
    with pytest.raises(Failure, match="Bearer"):
        read_grant(answer(token_type="DPoP"), CLIENT, nonce="n1")


@pytest.mark.parametrize(
    ("status", "error", "kind", "exit_code"),
    [
        (400, "invalid_grant", Ended, Exit.NOT_PERMITTED),
        (400, "invalid_client", Failure, Exit.NOT_PERMITTED),
        (503, "temporarily_unavailable", Failure, Exit.AWAY),
        (429, "slow", Failure, Exit.AWAY),
    ],
)
def test_a_refusal_says_whether_to_log_in_or_to_wait(
    provider: ScriptedProvider, status: int, error: str, kind: type[Failure], exit_code: Exit
) -> None:
    provider.answers["/token"] = [(status, {"error": error})]
    with pytest.raises(Failure, match=error) as caught:
        exchange(discover(provider.issuer), Client(provider.issuer, "cli"), "", {"refresh_token": "r-secret"})
    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    assert "r-secret" not in caught.value.format_message()


def test_a_refresh_token_is_given_back_by_rfc_7009(provider: ScriptedProvider) -> None:
    provider.answers["/revoke"] = [(200, b"")]
    client = Client(provider.issuer, "cli")
    assert revoke(discover(provider.issuer), client, "", "r1")
    assert provider.asked[-1] == (
        "/revoke",
        {"client_id": "cli", "token": "r1", "token_type_hint": "refresh_token"},
    )
    silent = provider.metadata(revocation_endpoint="")
    provider.answers["/.well-known/openid-configuration"] = [(200, silent)]
    assert not revoke(discover(provider.issuer), client, "", "r1")
