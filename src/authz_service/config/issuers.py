"""Who signs callers' tokens, and what is asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.certificates import read_certificates
from authz_service.config.directories import read_lookup
from authz_service.config.identity_values import Identity, Issuer, ServiceAccounts
from authz_service.config.saml import read_saml
from authz_service.config.section import Read, Refused, Section
from authz_service.config.tree import Node

ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms whose verifying key cannot sign (RFC 7518 3.1, RFC 8037 3.1)."""
_DAY: Final = 86_400.0
_PLAIN_HTTP: Final = "keys must come over https://: over http:// anybody on the way can replace them"


def read_identity(root: Section, base: Path) -> Identity:
    """`identity`: the embedded issuer, or others; both only when the file says that its people may vote."""
    section = root.section_or_empty("identity")
    issuers = tuple(_read_issuer(item, base) for item in section.sections("issuers"))
    embedded = section.optional(
        "embedded", scalars.boolean, not (section.has("issuers") or section.has("saml"))
    )
    embedded_votes = section.optional("embedded_votes", scalars.boolean, False)
    api_keys = section.optional("api_keys", scalars.boolean, True)
    certificates = read_certificates(section, base)
    saml = read_saml(section, base)
    urls = [issuer.url for issuer in issuers if issuer.url]
    if len(set(urls)) != len(urls):
        section.refuse_value("issuers", "two issuers have the same url")
    if embedded and (issuers or saml) and not embedded_votes:
        section.refuse_value(
            "embedded",
            "the embedded issuer's tokens can be signed by whoever runs this machine; beside other issuers "
            "it needs embedded_votes: true",
        )
    if not embedded and not issuers and not saml:
        section.refuse_value("embedded", "no issuer is left: list one, or set embedded: true")
    if embedded_votes and not embedded:
        section.refuse_value("embedded_votes", "means nothing without embedded: true")
    section.close()
    return Identity(embedded, embedded_votes, issuers, api_keys, certificates, saml)


def _read_issuer(section: Section, base: Path) -> Issuer:
    default = Issuer("", "", ())
    issuer = Issuer(
        url=section.required("url", scalars.url, ""),
        audience=section.required("audience", scalars.line, ""),
        algorithms=section.required("algorithms", scalars.list_of(_algorithm), ()),
        jwks=section.optional("jwks", _key_set(base), default.jwks),
        stale_keys=section.optional("stale_keys", scalars.duration(300, 7 * _DAY), default.stale_keys),
        groups=section.optional("groups", scalars.list_of(scalars.line), default.groups),
        groups_cut=section.optional("groups_cut", scalars.whole_number(0, 10_000), default.groups_cut),
        groups_without_slash=section.optional("groups_without_slash", scalars.boolean, False),
        lookup=read_lookup(section, base),
        person=section.optional("person", scalars.line, default.person),
        unverified_email=section.optional("unverified_email", scalars.boolean, False),
        max_lifetime=section.optional("max_lifetime", scalars.duration(60, 30 * _DAY), default.max_lifetime),
        services=_read_services(section.section_or_empty("service_accounts")),
    )
    if not section.has("jwks") and not _is_safe(issuer.url or "https://"):
        section.refuse_value("url", f"{_PLAIN_HTTP}; without jwks they are found by this URL")
    if issuer.unverified_email and issuer.person != "email":
        section.refuse_value("unverified_email", "means nothing without person: email")
    section.close()
    return issuer


def _read_services(section: Section) -> ServiceAccounts:
    default = ServiceAccounts()
    services = ServiceAccounts(
        having=section.optional("with", scalars.list_of(scalars.line), default.having),
        value=section.optional("value", scalars.line, default.value),
        lacking=section.optional("without", scalars.list_of(scalars.line), default.lacking),
        scopes=section.optional("scopes", scalars.list_of(scalars.line), default.scopes),
    )
    if services.having and services.lacking:
        section.refuse_value("without", "a service's token has one claim or lacks another: name either")
    if services.value is not None and not services.having:
        section.refuse_value("value", "means nothing without with: the claim that has it")
    section.close()
    return services


def _algorithm(node: Node) -> str:
    value = scalars.line(node)
    if value not in ASYMMETRIC:
        raise Refused(f"must be one of {', '.join(ASYMMETRIC)}: keys that verify must not be able to sign")
    return value


def _key_set(base: Path) -> Read[str]:
    def read(node: Node) -> str:
        value = scalars.line(node)
        if "://" not in value:
            return str(base / value)
        scalars.url(node)
        if not _is_safe(value):
            raise Refused(_PLAIN_HTTP)
        return value

    return read


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or scalars.is_loopback(parts.hostname or "")
