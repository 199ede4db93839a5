"""Who signs tokens, and who may review."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.model import Identity, Issuer, Review
from authz_service.config.section import Read, Refused, Section
from authz_service.config.tree import Node
from authz_service.policy.conditions import Condition, Phase

ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms whose verifying key cannot sign (RFC 7518 3.1, RFC 8037 3.1)."""


def read_identity(root: Section, base: Path) -> Identity:
    """`identity`: the embedded issuer, or others; both only when the file says that its people may vote."""
    section = root.section_or_empty("identity")
    issuers = tuple(_read_issuer(item, base) for item in section.sections("issuers"))
    embedded = section.optional("embedded", scalars.boolean, not section.has("issuers"))
    embedded_votes = section.optional("embedded_votes", scalars.boolean, False)
    urls = [issuer.url for issuer in issuers if issuer.url]
    if len(set(urls)) != len(urls):
        section.refuse_value("issuers", "two issuers have the same url")
    if embedded and issuers and not embedded_votes:
        section.refuse_value(
            "embedded",
            "the embedded issuer's tokens can be signed by whoever runs this machine; beside other issuers "
            "it needs embedded_votes: true",
        )
    if not embedded and not issuers:
        section.refuse_value("embedded", "no issuer is left: list one, or set embedded: true")
    if embedded_votes and not embedded:
        section.refuse_value("embedded_votes", "means nothing without embedded: true")
    section.close()
    return Identity(embedded, embedded_votes, issuers)


def _read_issuer(section: Section, base: Path) -> Issuer:
    issuer = Issuer(
        url=section.required("url", scalars.url, ""),
        audience=section.required("audience", scalars.line, ""),
        algorithms=section.required("algorithms", scalars.list_of(_algorithm), ()),
        jwks=section.optional("jwks", _key_set(base), ""),
        groups=section.optional("groups", scalars.list_of(scalars.line), ("groups",)),
        person=section.optional("person", scalars.line, None),
        max_lifetime=section.optional("max_lifetime", scalars.duration(60, 30 * 86_400), 86_400.0),
    )
    if not section.has("jwks"):
        section.refuse(section.node.place, "jwks is missing; finding keys by discovery is not supported yet")
    section.close()
    return issuer


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
        parts = urlsplit(value)
        if parts.scheme != "https" and not scalars.is_loopback(parts.hostname or ""):
            raise Refused("keys must come over https://: over http:// anybody on the way can replace them")
        return value

    return read


def read_review(
    root: Section, conditions: ConditionReader, identity: Identity
) -> tuple[Review, Condition | None, Condition | None]:
    """`review`, with the compiled conditions for reviewers and auditors (None for a faulty one)."""
    section = root.section_or_empty("review")
    default = Review()
    audience = section.optional("audience", scalars.line, default.audience)
    reviewers = conditions.optional(section, "reviewers", Phase.PEOPLE, default.reviewers)
    auditors = conditions.optional(section, "auditors", Phase.PEOPLE, default.auditors)
    if audience in {issuer.audience for issuer in identity.issuers}:
        # An agent that holds its user's gateway token must not be able to vote.
        section.refuse_value("audience", "must differ from every issuer's audience: tokens have one use")
    section.close()
    review = Review(
        audience,
        reviewers.text if reviewers is not None else default.reviewers,
        auditors.text if auditors is not None else default.auditors,
    )
    return review, reviewers, auditors
