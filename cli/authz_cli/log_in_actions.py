"""What `authz login` does: finds out where, has the person log in, and keeps what came of it."""

from __future__ import annotations

import json
import webbrowser
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
import grpc

from authz_api.v1.logins_pb2 import GetLoginOptionsRequest, GetLoginOptionsResponse, LoginOptions
from authz_api.v1.logins_pb2_grpc import LoginServiceStub
from authz_cli.calls import PATIENCE
from authz_cli.channel import open_channel
from authz_cli.exits import Exit, Failure
from authz_cli.login import Login, address_of
from authz_cli.moments import moment
from authz_cli.oauth import code_flow, device_flow
from authz_cli.oauth.client import Client, Use
from authz_cli.oauth.grants import Grant, exchange
from authz_cli.oauth.loopback import listening
from authz_cli.oauth.provider import Provider, discover
from authz_cli.oauth.saved import SavedLogin, alone, find_login, keep
from authz_cli.oauth.secrets import Secrets, keyring_here
from authz_cli.options import Target
from authz_cli.refusals import failure, status_of
from authz_cli.safe_text import safe_line

WITHIN = 300.0  # seconds for a person to log in


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed. Without `client` the server is asked; `redirect` "" is the client's.

    `saml` names one of the server's SAML providers.
    """

    use: Use
    client: Client | None
    redirect: str
    secret_file: Path | None
    has_browser: bool
    storage: str
    saml: str | None = None


def log_in_and_keep(target: Target, wish: Wish, *, as_json: bool) -> None:
    """Raises `Failure`; what was kept before stays then."""
    is_in_keyring = _is_in_keyring(wish.storage)
    server, ca = _server(target, wish)
    client = wish.client or _advertised(server, ca, wish)
    if wish.redirect:
        client = replace(client, redirect=_checked_redirect(wish.redirect))
    secret = _secret(wish.secret_file)
    provider = discover(client.issuer)
    where = safe_line(f"{client.issuer} as its client {client.client_id}")
    click.echo(f"logging in at {where}, for the {_door(wish.use)}", err=True)
    grant = _by_browser(provider, client, secret) if wish.has_browser else _by_code(provider, client, secret)
    saved = SavedLogin(wish.use, server, "" if ca is None else str(ca), client, grant.subject, is_in_keyring)
    with alone():
        keep(saved, Secrets(grant.token, grant.expires_at, grant.refresh_token, secret))
    _tell(saved, grant, as_json=as_json)


def _server(target: Target, wish: Wish) -> tuple[str, Path | None]:
    """Where the review API is; "" for a gateway's login that needs none."""
    is_named = target.server is not None or target.is_data_dir_named
    if not is_named:
        before = find_login(Use.REVIEW, None)
        if before is not None and (wish.client is None or wish.use is Use.REVIEW):
            return before.server, target.ca or (Path(before.ca) if before.ca else None)
        if wish.use is Use.GATEWAY and wish.client is not None:
            return "", None
    return address_of(target), None if target.ca is None else target.ca.absolute()


def _advertised(server: str, ca: Path | None, wish: Wish) -> Client:
    login, use = Login(server, lambda: "", ca), wish.use
    with open_channel(login) as channel:
        try:
            answer = LoginServiceStub(channel).GetLoginOptions(GetLoginOptionsRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            if status_of(error) is not grpc.StatusCode.UNIMPLEMENTED:
                raise failure(error, login) from error
            raise _not_advertised(server, use) from error
    if wish.saml is not None:
        return _client(_by_saml(answer, wish.saml, server, use))
    if not answer.HasField("review" if use is Use.REVIEW else "gateway"):
        raise _not_advertised(server, use)
    return _client(answer.review if use is Use.REVIEW else answer.gateway)


def _by_saml(answer: GetLoginOptionsResponse, name: str, server: str, use: Use) -> LoginOptions:
    for login in answer.saml:
        if login.name == name:
            return login.review if use is Use.REVIEW else login.gateway
    known = ", ".join(login.name for login in answer.saml)
    there_are = f"it has {known}" if known else "it has none (identity.saml in authz.yaml)"
    raise Failure(f"the server at {server} has no SAML provider {name}: {there_are}", Exit.USAGE)


def _not_advertised(server: str, use: Use) -> Failure:
    return Failure(
        f"the server at {server} does not say how to log in for the {_door(use)}: give --issuer and "
        f"--client-id, or have its operator set login.{use} in authz.yaml",
        Exit.USAGE,
    )


def _client(options: LoginOptions) -> Client:
    return Client(
        options.issuer,
        options.client_id,
        tuple(options.scopes),
        options.resource,
        options.id_token,
        _checked_redirect(options.redirect),
        options.audience,
    )


def _by_browser(provider: Provider, client: Client, secret: str) -> Grant:
    if not provider.authorization:
        raise Failure(f"{provider.issuer} has no login for browsers; try --no-browser", Exit.USAGE)
    attempt = code_flow.Attempt.new()
    with listening(client.redirect, attempt.is_answered_by) as loopback:
        url = code_flow.authorization_url(provider, client, attempt, loopback.redirect)
        click.echo(f"open this page if no browser does:\n\n  {url}\n", err=True)
        webbrowser.open(url)
        code = code_flow.code_in(loopback.answer(within=WITHIN), provider)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": loopback.redirect,
            "code_verifier": attempt.verifier,
        }
        return exchange(provider, client, secret, form, attempt.nonce)


def _by_code(provider: Provider, client: Client, secret: str) -> Grant:
    code = device_flow.new_code(provider, client, secret)
    click.echo(safe_line(f"open {code.address} in any browser, and type the code {code.user_code}"), err=True)
    if code.whole_address:
        click.echo(safe_line(f"or open {code.whole_address} and compare the code"), err=True)
    return device_flow.wait_for(provider, client, secret, code)


def _is_in_keyring(storage: str) -> bool:
    """Asked before the person logs in, so that no login is for nothing."""
    if storage == "keyring" and keyring_here() is None:
        raise Failure(
            "there is no keyring here: pip install 'authz-service[keyring]' on a machine with a desktop, or "
            "--storage file",
            Exit.USAGE,
        )
    return storage == "keyring" or (storage == "auto" and keyring_here() is not None)


def _checked_redirect(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost") or parts.query:
        raise Failure(f"{url} is not on this machine: say http://127.0.0.1:PORT/callback", Exit.USAGE)
    return url


def _secret(file: Path | None) -> str:
    try:
        return "" if file is None else file.read_text().strip()
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {file}", Exit.USAGE) from error


def _door(use: Use) -> str:
    return "review API" if use is Use.REVIEW else "gateway"


def _tell(login: SavedLogin, grant: Grant, *, as_json: bool) -> None:
    if as_json:
        told = {
            "use": login.use,
            "server": login.server,
            "issuer": login.client.issuer,
            "subject": grant.subject,
            "expires_at": int(grant.expires_at),
            "is_renewed": bool(grant.refresh_token),
            "storage": "keyring" if login.is_in_keyring else "file",
        }
        click.echo(json.dumps(told))
        return
    who = safe_line(f"logged in as {grant.subject}")
    click.echo(f"{who} for the {_door(login.use)}; kept in the {_place(login)}")
    if not grant.refresh_token:
        ends = moment(datetime.fromtimestamp(grant.expires_at, UTC), now=datetime.now(UTC))
        click.echo(f"the provider gave nothing to renew it with: it ends {ends}", err=True)


def _place(login: SavedLogin) -> str:
    from authz_cli.oauth.saved import folder

    return "keyring" if login.is_in_keyring else f"file {folder() / 'logins.json'}"
