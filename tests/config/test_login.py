"""`login`: which clients people log in as, and which settings would give them tokens that nobody takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.config.identity_values import LoginClient
from authz_service.config.read import Loaded

Faults = Callable[[str], list[tuple[int, int, str]]]
ISSUER = "https://login.example.com"
IDENTITY = f"""\
identity:
  issuers: [{{url: "{ISSUER}", audience: llm-gateway, algorithms: [RS256]}}]
"""


def test_without_it_the_server_says_nothing(load: Callable[[str], Loaded], smallest: str) -> None:
    logins = load(smallest).config.logins
    assert (logins.review, logins.gateway) == (None, None)


def test_both_uses_have_a_client(load: Callable[[str], Loaded], smallest: str) -> None:
    logins = load(
        f"""{smallest}{IDENTITY}
login:
  review: {{issuer: "{ISSUER}", client: cli, resource: "urn:review"}}
  gateway:
    {{issuer: "{ISSUER}", client: llm-gateway, scopes: [openid, email], token: id,
     redirect: "http://localhost:8085/callback"}}
"""
    ).config.logins
    assert logins.review == LoginClient(ISSUER, "cli", ("openid", "offline_access"), "urn:review")
    assert logins.gateway == LoginClient(
        ISSUER, "llm-gateway", ("openid", "email"), "", True, "http://localhost:8085/callback"
    )


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ('review: {issuer: "https://other.example", client: cli}', "is none of identity.issuers"),
        (f'review: {{issuer: "{ISSUER}"}}', "client is missing"),
        ("review: {client: cli}", "issuer is missing"),
        (f'review: {{issuer: "{ISSUER}", client: cli, scopes: ["a b"]}}', "a scope without spaces"),
        (f'review: {{issuer: "{ISSUER}", client: cli, redirect: "http://10.0.0.1/"}}', "on this machine"),
        (f'review: {{issuer: "{ISSUER}", client: cli, redirect: "https://127.0.0.1/"}}', "on this machine"),
        (f'review: {{issuer: "{ISSUER}", client: cli, token: id}}', "'authz-review' is taken"),
        (f'gateway: {{issuer: "{ISSUER}", client: cli, token: id}}', "'llm-gateway' is taken"),
        (f'gateway: {{issuer: "{ISSUER}", client: llm-gateway, token: id, scopes: [email]}}', "scope openid"),
        (f'review: {{issuer: "{ISSUER}", client: cli, secret: x}}', "unknown key 'secret'"),
    ],
)
def test_what_could_not_work_is_refused(faults: Faults, smallest: str, login: str, message: str) -> None:
    found = faults(f"{smallest}{IDENTITY}login:\n  {login}\n")
    assert any(message in said for _, _, said in found), found


def test_one_client_for_both_uses_is_refused_where_it_asks_for_the_same(
    faults: Faults, smallest: str
) -> None:
    same = f'{{issuer: "{ISSUER}", client: cli}}'
    found = faults(f"{smallest}{IDENTITY}login:\n  review: {same}\n  gateway: {same}\n")
    assert [message for _, _, message in found if "tokens have one use" in message]
