"""Where to ask for the groups that an issuer's tokens leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.identity_values import EntraDirectory, GoogleDirectory, Lookup
from authz_service.config.section import Refused, Section
from authz_service.config.tree import Node

_MEMBERS: Final = {"entra": "oid", "google": "sub"}
"""The claim whose value each directory knows a person by."""
_ENTRA: Final = EntraDirectory("", "", Path())
_GOOGLE: Final = GoogleDirectory(Path(), "")
_ID: Final = scalars.word(r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}", "an id or a domain's name")


def read_lookup(issuer: Section, base: Path) -> Lookup | None:
    """`lookup` of an issuer."""
    section = issuer.section("lookup")
    if section is None:
        return None
    name = section.required("directory", scalars.one_of({name: name for name in _MEMBERS}), "entra")
    lookup = Lookup(
        directory=_read_entra(section, base) if name == "entra" else _read_google(section, base),
        member=section.optional("member", scalars.line, _MEMBERS[name]),
        fresh=section.optional("fresh", scalars.duration(10, 3600), 300.0),
        stale=section.optional("stale", scalars.duration(0, 86_400), 3600.0),
    )
    section.close()
    return lookup


def _read_entra(section: Section, base: Path) -> EntraDirectory:
    return EntraDirectory(
        tenant=section.required("tenant", _ID, ""),
        client=section.required("client", _ID, ""),
        secret=base / section.required("secret", scalars.line, ""),
        login=section.optional("login", _server, _ENTRA.login),
        api=section.optional("api", _server, _ENTRA.api),
    )


def _read_google(section: Section, base: Path) -> GoogleDirectory:
    return GoogleDirectory(
        key=base / section.required("key", scalars.line, ""),
        admin=section.required("admin", scalars.line, ""),
        api=section.optional("api", _server, _GOOGLE.api),
    )


def _server(node: Node) -> str:
    value = scalars.url(node).rstrip("/")
    parts = urlsplit(value)
    if parts.path:
        raise Refused("must be a server's address, without a path")
    if parts.scheme != "https" and not scalars.is_loopback(parts.hostname or ""):
        raise Refused("must be https://: our secret and people's groups cross there")
    return value
