"""What the token endpoint gives: checked before it is kept, refreshed, and given back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.asking import Answer, ask
from authz_cli.oauth.client import Client
from authz_cli.oauth.provider import Provider


class Ended(Failure):
    """The provider takes the refresh token no more: only a person can log in again."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`token` is the one to show; `expires_at` is in seconds since the epoch. No refresh token is ""."""

    token: str
    expires_at: float
    refresh_token: str
    subject: str


def exchange(
    provider: Provider, client: Client, secret: str, form: Mapping[str, str], nonce: str = ""
) -> Grant:
    """Tokens for a code or refresh token (RFC 6749 4.1.3, 6); raises `Failure`, `Ended` for invalid_grant."""
    answer = ask(provider.token, client_form(client, secret) | dict(form))
    if answer.status != 200:
        raise _refusal(answer, provider)
    return read_grant(answer, client, nonce=nonce)


def client_form(client: Client, secret: str) -> dict[str, str]:
    """How we name ourselves to the provider, and what for."""
    form = {"client_id": client.client_id}
    if secret:
        form["client_secret"] = secret
    if client.resource:
        form["resource"] = client.resource
    return form


def read_grant(answer: Answer, client: Client, *, nonce: str = "") -> Grant:
    """The grant of a good answer; raises `Failure` for a token that our server would refuse.

    The ID token came from the provider itself over TLS, so its claims are checked and its signature is
    not (OpenID Connect Core 3.1.3.7, 6); our server verifies whatever is shown to it.
    """
    if answer.text("token_type").lower() != "bearer":
        raise Failure("the provider's tokens are not of the type Bearer, which is the only one known here")
    identity = answer.text("id_token")
    if nonce and "openid" in client.scopes and not identity:
        raise Failure("the provider gave no ID token for the scope openid; log in again")
    said = claims_of(identity) if identity else {}
    if identity:
        _check_identity(said, client, nonce)
    token = identity if client.is_id_token else answer.text("access_token")
    claims = claims_of(token)
    _check_audience(claims, client)
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise Failure("the provider's token does not say when it ends")
    subject = claims.get("sub") or said.get("sub")
    return Grant(token, float(expires), answer.text("refresh_token"), str(subject or ""))


def revoke(provider: Provider, client: Client, secret: str, refresh_token: str) -> bool:
    """Give the refresh token back (RFC 7009 2.1); False where the provider offers that to nobody."""
    if not provider.revocation:
        return False
    form = client_form(client, secret) | {"token": refresh_token, "token_type_hint": "refresh_token"}
    answer = ask(provider.revocation, form)
    if answer.status != 200:
        raise Failure(f"the provider did not take the login back: {answer.error}", Exit.REFUSED)
    return True


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, believed by nobody; raises `Failure` for one that is no JSON Web Token."""
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError("not three parts")
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise Failure(
            "the provider's token is opaque, so nobody but the provider could verify it: ask for your "
            "server's audience by its scope or resource (--scope, --resource; `login` in authz.yaml)",
            Exit.USAGE,
        )
    return claims


def _check_identity(claims: Mapping[str, Any], client: Client, nonce: str) -> None:
    """OpenID Connect Core 3.1.3.7 (2, 3 and 11); the nonce ties it to this login."""
    is_good = claims.get("iss") == client.issuer and client.client_id in _audiences(claims)
    if not is_good or (nonce and claims.get("nonce") != nonce):
        raise Failure("the provider's ID token is not for this login; nothing was kept. Log in again")


def _check_audience(claims: Mapping[str, Any], client: Client) -> None:
    if client.audience and client.audience not in _audiences(claims):
        found = ", ".join(_audiences(claims)) or "nobody"
        raise Failure(
            f"the provider's token is for {found[:200]}, and the server takes {client.audience}: have the "
            "provider give that audience to this client, or ask for it by --resource or --scope",
            Exit.USAGE,
        )


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return [audience for audience in listed if isinstance(audience, str)]


def _refusal(answer: Answer, provider: Provider) -> Failure:
    if answer.text("error") == "invalid_grant":
        return Ended(f"{provider.issuer} takes this login no more ({answer.error})", Exit.NOT_PERMITTED)
    if answer.status >= 500 or answer.status == 429:
        return Failure(f"{provider.issuer} cannot answer now: {answer.error}", Exit.AWAY)
    return Failure(f"{provider.issuer} gave no token: {answer.error}", Exit.NOT_PERMITTED)
