"""Prints the token of a gateway's login, for programs that ask a helper for their key."""

from __future__ import annotations

import json

import click

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.client import Use
from authz_cli.oauth.fresh import fresh_secrets
from authz_cli.oauth.saved import find_login


def print_token(server: str | None, *, as_json: bool) -> None:
    """Raises `Failure`, with nothing on standard output, when there is none to be had."""
    login = find_login(Use.GATEWAY, server)
    if login is None:
        raise Failure(
            "nobody is logged in for the gateway: authz login --gateway; or sign a token with the embedded "
            "issuer: authz token --subject NAME",
            Exit.NOT_PERMITTED,
        )
    secrets = fresh_secrets(login)
    told = {
        "token": secrets.token,
        "audience": login.client.audience or None,
        "expires_at": int(secrets.expires_at),
    }
    click.echo(json.dumps(told) if as_json else secrets.token)
