"""How people log in: the clients of a provider that `authz login` acts as, for each use of its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.identity_values import Identity, LoginClient, Logins
from authz_service.config.saml import read_login_listener
from authz_service.config.section import Refused, Section, shortened
from authz_service.config.tree import Node

_SCOPE: Final = scalars.word(r"[\x21\x23-\x5b\x5d-\x7e]+", "a scope without spaces, quotes and backslashes")


def read_logins(root: Section, identity: Identity, base: Path, *, review_audience: str) -> Logins:
    """`login`: at one of the issuers that are trusted; the review API's and the gateway's must differ."""
    section = root.section_or_empty("login")
    review = _read_client(section, "review", identity, review_audience)
    gateway = _read_client(section, "gateway", identity, "")
    if review is not None and gateway is not None and _asks_for(review) == _asks_for(gateway):
        section.refuse_value(
            "gateway",
            "asks for the same token as review: tokens have one use, so one of client, scopes, resource or "
            "issuer must be another",
        )
    listener = read_login_listener(section, base, is_needed=bool(identity.saml))
    section.close()
    return Logins(review, gateway, listener)


def _read_client(logins: Section, key: str, identity: Identity, audience: str) -> LoginClient | None:
    section = logins.section(key)
    if section is None:
        return None
    audiences = {issuer.url: issuer.audience for issuer in identity.issuers}
    default = LoginClient("", "")
    client = LoginClient(
        issuer=section.required("issuer", scalars.url, ""),
        client=section.required("client", scalars.line, ""),
        scopes=section.optional("scopes", scalars.list_of(_SCOPE), default.scopes),
        resource=section.optional("resource", scalars.line, default.resource),
        is_id_token=section.optional("token", scalars.one_of({"access": False, "id": True}), False),
        redirect=section.optional("redirect", _redirect, default.redirect),
    )
    if client.issuer and client.issuer not in audiences:
        section.refuse_value("issuer", "is none of identity.issuers, so its tokens would be refused")
    if client.is_id_token and "openid" not in client.scopes:
        section.refuse_value("token", "an ID token needs the scope openid")  # OpenID Connect Core 3.1.2.1
    takes = audience or audiences.get(client.issuer, "")
    if client.is_id_token and client.client and takes and client.client != takes:
        section.refuse_value("client", f"an ID token is for its client, and here {takes!r} is taken")
    section.close()
    return client


def _redirect(node: Node) -> str:
    value = scalars.url(node)
    parts = urlsplit(value)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise Refused(f"must be on this machine, as http://127.0.0.1/callback is, found {shortened(value)}")
    return value


def _asks_for(client: LoginClient) -> tuple[object, ...]:
    return (client.issuer, client.client, client.resource, frozenset(client.scopes))
