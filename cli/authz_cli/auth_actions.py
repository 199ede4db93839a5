"""What `authz auth` does with the logins that are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from authz_cli.exits import Exit, Failure
from authz_cli.moments import moment
from authz_cli.oauth.client import Use
from authz_cli.oauth.grants import revoke
from authz_cli.oauth.provider import discover
from authz_cli.oauth.saved import SavedLogin, alone, forget, saved_logins, secrets_of
from authz_cli.oauth.secrets import Secrets
from authz_cli.safe_text import safe_line
from authz_cli.table import table

_HEADS = ("FOR", "SERVER", "WHO", "PROVIDER", "TOKEN UNTIL", "RENEWED", "KEPT IN")


def show_logins(*, as_json: bool) -> None:
    """Raises `Failure` when there is none. No token is shown, and the provider is not asked."""
    found = [(login, _readable(login)) for login in reversed(saved_logins())]
    if as_json:
        click.echo(json.dumps([_object(login, secrets) for login, secrets in found]))
    elif found:
        click.echo(table(_HEADS, [_row(login, secrets) for login, secrets in found]))
    if not found:
        raise Failure("nobody is logged in: authz login --server HOST:PORT", Exit.NOT_PERMITTED)


def end_logins(server: str | None, *, is_gateway_only: bool, is_all: bool) -> None:
    """Forgets them in any case; raises `Failure` when the provider did not take one back."""
    with alone():
        ending = _meant(server, is_gateway_only=is_gateway_only, is_all=is_all)
        if not ending:
            raise Failure("there is no such login: authz auth status", Exit.NOT_FOUND)
        problems = [problem for login in ending if (problem := _end(login))]
    if problems:
        raise Failure("\n".join(problems))


def _meant(server: str | None, *, is_gateway_only: bool, is_all: bool) -> list[SavedLogin]:
    logins = [login for login in saved_logins() if login.use is Use.GATEWAY or not is_gateway_only]
    if is_all or not logins:
        return logins
    wanted = logins[-1].server if server is None else server
    return [login for login in logins if login.server == wanted]


def _end(login: SavedLogin) -> str:
    """What is left to do, or nothing."""
    problem, said = "", ""
    try:
        secrets = secrets_of(login)
        if secrets is not None and secrets.refresh_token:
            is_taken = revoke(
                discover(login.client.issuer), login.client, secrets.client_secret, secrets.refresh_token
            )
            said = "" if is_taken else "; the provider takes no logins back, end the session there"
    except Failure as error:
        problem = f"{error.format_message()}; end the session at {login.client.issuer} yourself"
    forget(login)
    click.echo(safe_line(f"logged out {login.subject} ({login.use}) at {login.client.issuer}{said}"))
    return problem


def _readable(login: SavedLogin) -> Secrets | None:
    """None where they are gone or the keyring is locked: a status is not for failing."""
    try:
        return secrets_of(login)
    except Failure:
        return None


def _row(login: SavedLogin, secrets: Secrets | None) -> tuple[str, ...]:
    until, renewed = "cannot be read", "no"
    if secrets is not None:
        until = moment(datetime.fromtimestamp(secrets.expires_at, UTC), now=datetime.now(UTC))
        renewed = "yes" if secrets.refresh_token else "no"
    place = "keyring" if login.is_in_keyring else "file"
    return (login.use, login.server or "-", login.subject, login.client.issuer, until, renewed, place)


def _object(login: SavedLogin, secrets: Secrets | None) -> dict[str, object]:
    return {
        "use": login.use,
        "server": login.server,
        "subject": login.subject,
        "issuer": login.client.issuer,
        "client_id": login.client.client_id,
        "expires_at": None if secrets is None else int(secrets.expires_at),
        "is_renewed": bool(secrets and secrets.refresh_token),
        "storage": "keyring" if login.is_in_keyring else "file",
    }
