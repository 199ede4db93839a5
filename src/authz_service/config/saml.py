"""Logins by SAML: the identity providers that are trusted, and where people's browsers reach us."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.gateway import file_path, read_tls
from authz_service.config.identity_values import LoginListener, SamlBatch, SamlProvider
from authz_service.config.section import Read, Refused, Section, shortened
from authz_service.config.tree import Node, Scalar

_NAME: Final = scalars.word(r"[a-z0-9][a-z0-9-]{0,31}", "1 to 32 small letters, digits and '-'")
_HOUR: Final = 3600.0
_FORMATS: Final = {
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
_TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def read_saml(identity: Section, base: Path) -> tuple[SamlProvider, ...]:
    """`identity.saml`: no two with one name, since a name is part of their tokens' issuer."""
    providers = tuple(_read_provider(item, base) for item in identity.sections("saml"))
    for what in ("name", "entity_id"):
        named = [value for value in (getattr(provider, what) for provider in providers) if value]
        if len(set(named)) != len(named):
            identity.refuse_value("saml", f"two providers have the same {what}")
    return providers


def read_login_listener(login: Section, base: Path, *, is_needed: bool) -> LoginListener | None:
    """`login.listen` and `login.url`: needed by SAML, and by nothing else."""
    if not is_needed:
        for key in ("listen", "url"):
            login.optional(key, lambda _node: None, None)
            if login.has(key):
                login.refuse_value(key, "means nothing without identity.saml")
        return None
    url = login.required("url", _origin, "")
    section = login.section("listen")
    if section is None:
        if not login.has("listen"):
            login.refuse(login.node.place, "listen is missing: identity.saml has browsers come here")
        return None
    host, port = section.required("address", scalars.host_and_port, ("127.0.0.1", 0))
    tls = read_tls(section, base)
    if tls is None and not scalars.is_loopback(host):
        section.refuse_value("address", f"{host} can be reached from other machines, so tls is needed")
    section.close()
    return LoginListener(url, host, port, tls)


def _read_provider(section: Section, base: Path) -> SamlProvider:
    default = SamlProvider("", "", "", "")
    provider = SamlProvider(
        name=section.required("name", _NAME, ""),
        entity_id=section.required("entity_id", scalars.line, ""),
        metadata=section.required("metadata", _metadata(base), ""),
        signed_by=section.optional("signed_by", file_path(base), default.signed_by),
        audience=section.required("audience", scalars.line, ""),
        subject=section.optional("subject", scalars.line, default.subject),
        name_format=section.optional("name_format", _name_format, default.name_format),
        groups=section.optional("groups", scalars.line, default.groups),
        groups_cut=section.optional("groups_cut", scalars.whole_number(0, 10_000), default.groups_cut),
        groups_without_slash=section.optional("groups_without_slash", scalars.boolean, False),
        person=section.optional("person", scalars.line, default.person),
        lifetime=section.optional("lifetime", scalars.duration(60, 12 * _HOUR), default.lifetime),
        batch=_read_batch(section.section("batch")),
        sign_requests=section.optional("sign_requests", scalars.boolean, False),
    )
    if provider.subject is not None and section.has("name_format"):
        section.refuse_value("name_format", "means nothing beside subject: the NameID is not read then")
    if provider.batch is not None and provider.person is None:
        section.refuse_value(
            "batch", "needs person: the owner of a batch client is compared with the person who votes"
        )
    section.close()
    return provider


def _read_batch(section: Section | None) -> SamlBatch | None:
    if section is None:
        return None
    default = SamlBatch()
    batch = SamlBatch(
        section.optional("scope", scalars.line, default.scope),
        section.optional("owner", scalars.line, default.owner),
    )
    section.close()
    return batch


def _name_format(node: Node) -> str:
    value = scalars.line(node)
    if value in ("transient", _TRANSIENT):
        raise Refused("such a name is another at each login: one person would be several")
    if value not in _FORMATS and ":" not in value:
        raise Refused(f"must be {', '.join(_FORMATS)} or a URI, found {shortened(value)}")
    return _FORMATS.get(value, value)


def _metadata(base: Path) -> Read[str]:
    def read(node: Node) -> str:
        value = scalars.line(node)
        if "://" not in value:
            return str(base / value)
        # A query is usual here (Entra's appid), unlike in other URLs of the file.
        scalars.url(node if "?" not in value else _without_query(node, value))
        if not _is_safe(value):
            raise Refused("must come over https://: over http:// anybody on the way can put in other keys")
        return value

    return read


def _without_query(node: Node, value: str) -> Node:
    return Scalar(node.place, value.partition("?")[0], "text")


def _origin(node: Node) -> str:
    value = scalars.url(node).rstrip("/")
    if urlsplit(value).path:
        raise Refused(f"must end with the host or the port, found {shortened(value)}")
    if not _is_safe(value):
        raise Refused(f"must be an https:// URL, found {shortened(value)}: assertions and tokens come by it")
    return value


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or scalars.is_loopback(parts.hostname or "")
