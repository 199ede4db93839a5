"""A token of a login that is good now: the one that is kept, or the next, for which one process asks."""

from __future__ import annotations

import time
from dataclasses import replace

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.client import Use
from authz_cli.oauth.grants import Ended, exchange
from authz_cli.oauth.provider import discover
from authz_cli.oauth.saved import SavedLogin, alone, refreshed, secrets_of
from authz_cli.oauth.secrets import Secrets

MARGIN = 60.0  # seconds that a token has left at least, where the provider gives ones that live longer


def fresh_secrets(login: SavedLogin) -> Secrets:
    """Raises `Failure` with the next step when the login has ended.

    Refresh tokens that rotate are good once: two processes that used the same would look like a thief, and
    the provider would end the login (RFC 9700 4.14.2). So one at a time asks, and the next finds its answer.
    """
    secrets = _kept(login)
    if secrets.expires_at - time.time() > MARGIN:
        return secrets
    with alone():
        secrets = _kept(login)
        if secrets.expires_at - time.time() > MARGIN:
            return secrets
        return _refreshed(login, secrets)


def how_to_log_in(use: Use, server: str) -> str:
    """The command for it."""
    words = ["authz login", *(["--gateway"] if use is Use.GATEWAY else [])]
    return " ".join([*words, *([f"--server {server}"] if server else [])])


def _refreshed(login: SavedLogin, secrets: Secrets) -> Secrets:
    is_good = secrets.expires_at > time.time()
    if not secrets.refresh_token:
        if is_good:
            return secrets
        raise _ended(login, "it has run out, and the provider gave nothing to renew it with")
    form = {"grant_type": "refresh_token", "refresh_token": secrets.refresh_token}
    try:
        grant = exchange(discover(login.client.issuer), login.client, secrets.client_secret, form)
    except Ended as error:
        if is_good:
            return secrets
        raise _ended(login, "the provider takes it no more") from error
    except Failure as error:
        if is_good and error.exit_code == Exit.AWAY:
            return secrets
        raise
    if login.subject and grant.subject and grant.subject != login.subject:
        raise _ended(login, "the provider's new token is of somebody else")  # OpenID Connect Core 12.2
    # Without a new refresh token the old one stays good (RFC 6749 6).
    found = replace(
        secrets,
        token=grant.token,
        expires_at=grant.expires_at,
        refresh_token=grant.refresh_token or secrets.refresh_token,
    )
    refreshed(login, found)
    return found


def _kept(login: SavedLogin) -> Secrets:
    secrets = secrets_of(login)
    if secrets is None:
        raise _ended(login, "its token is gone")
    return secrets


def _ended(login: SavedLogin, why: str) -> Failure:
    command = how_to_log_in(login.use, login.server)
    return Failure(f"your login at {login.client.issuer} has ended ({why}): {command}", Exit.NOT_PERMITTED)
