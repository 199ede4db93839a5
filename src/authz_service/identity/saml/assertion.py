"""What a signed assertion says, and whether it is for us, now, and for this login."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from authz_service.identity.claims import LEEWAY
from authz_service.identity.saml.xml import ASSERTION, NAMES, Element, only, refused, tag, text_of

LONGEST_LIFE: Final = 86_400.0
"""Seconds that an assertion may still be good for: so long it is remembered that it was used."""
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_CONDITIONS: Final = frozenset(
    tag(ASSERTION, name) for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an assertion must be: from `issuer`, for `audience`, brought to `recipient`, at `now`.

    `in_response_to` is the ID of our request; None: it must not say that it answers one. A login before
    `logged_in_after` (seconds since the epoch) is too old; None: any will do.
    """

    issuer: str
    audience: str
    recipient: str
    in_response_to: str | None
    now: float
    logged_in_after: float | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A good one. Times are in seconds since the epoch; from `ends` on nobody takes it.

    `session_ends` is when the provider wants its people to log in again. Attributes have the texts of
    their values; None for a value that is no text.
    """

    id: str
    subject: str
    format: str
    ends: float
    session_ends: float | None
    attributes: Mapping[str, tuple[str | None, ...]]


def read_assertion(signed: Element, expected: Expected) -> Assertion:
    """Check an assertion as it was signed; raises `Unauthenticated` (SAML profiles 4.1.4.3, RFC 7522 3)."""
    if signed.get("Version") != "2.0":
        raise refused("has an assertion of another version than 2.0")
    if text_of(only(signed, "saml:Issuer", what="issuer")) != expected.issuer:
        raise refused("has an assertion of another provider", "saml_wrong_issuer")
    _check_begun(_time(signed, "IssueInstant"), expected.now)
    subject = only(signed, "saml:Subject", what="subject")
    name = only(subject, "saml:NameID", what="NameID")
    _check_qualifiers(name, expected)
    ends = [_confirmed_until(subject, expected), *_conditions(signed, expected)]
    if min(ends) > expected.now + LONGEST_LIFE:
        raise refused("has an assertion that is good for longer than a day", "saml_lifetime")
    return Assertion(
        id=signed.get("ID", ""),
        subject=text_of(name),
        format=name.get("Format", UNSPECIFIED),
        ends=min(ends),
        session_ends=_session_end(signed, expected),
        attributes=_attributes(signed),
    )


def _check_qualifiers(name: Element, expected: Expected) -> None:
    """A name that means somebody within another provider or service would be taken for one of ours."""
    qualified = (name.get("NameQualifier"), name.get("SPNameQualifier"))
    if qualified[0] not in (None, expected.issuer) or qualified[1] not in (None, expected.audience):
        raise refused("names its subject for another provider or service")


def _confirmed_until(subject: Element, expected: Expected) -> float:
    """Until when whoever brings the assertion counts as its subject (SAML profiles 4.1.4.2)."""
    confirmation = only(subject, "saml:SubjectConfirmation", what="subject confirmation")
    if confirmation.get("Method") != BEARER:
        raise refused("is for somebody who shows a key, and not for a bearer")
    data = only(confirmation, "saml:SubjectConfirmationData", what="subject confirmation data")
    if data.get("Recipient") != expected.recipient:
        raise refused("has an assertion for another recipient", "saml_wrong_recipient")
    if data.get("InResponseTo") != expected.in_response_to:
        raise refused("has an assertion for another login", "saml_wrong_request")
    if data.get("NotBefore") is not None:
        raise refused("has a NotBefore where none may be")
    return _end(data, expected.now, is_needed=True)


def _conditions(signed: Element, expected: Expected) -> list[float]:
    conditions = only(signed, "saml:Conditions", what="conditions")
    if any(condition.tag not in _CONDITIONS for condition in conditions):
        raise refused("has a condition that is not known here")  # SAML core 2.5.1.1: then it is not valid
    if conditions.get("NotBefore") is not None:
        _check_begun(_time(conditions, "NotBefore"), expected.now)
    restrictions = conditions.findall("saml:AudienceRestriction", NAMES)
    for restriction in restrictions:
        audiences = [text_of(audience) for audience in restriction.findall("saml:Audience", NAMES)]
        if expected.audience not in audiences:
            raise refused("has an assertion for another audience", "saml_wrong_audience")
    if not restrictions:
        raise refused("has an assertion for no audience", "saml_wrong_audience")
    return [_end(conditions, expected.now)] if conditions.get("NotOnOrAfter") is not None else []


def _session_end(signed: Element, expected: Expected) -> float | None:
    statements = signed.findall("saml:AuthnStatement", NAMES)
    if not statements and expected.in_response_to is not None:
        raise refused("does not say that anybody logged in")
    for statement in statements:
        instant, after = _time(statement, "AuthnInstant"), expected.logged_in_after
        _check_begun(instant, expected.now)
        if after is not None and instant < after - LEEWAY:
            raise refused("is of an earlier login; log in at the provider anew", "saml_old_login")
    ends = [
        _end(statement, expected.now, name="SessionNotOnOrAfter")
        for statement in statements
        if statement.get("SessionNotOnOrAfter") is not None
    ]
    return min(ends, default=None)


def _attributes(signed: Element) -> Mapping[str, tuple[str | None, ...]]:
    found: dict[str, list[str | None]] = {}
    for attribute in signed.findall("saml:AttributeStatement/saml:Attribute", NAMES):
        # Keycloak writes an attribute once for each of its values, others once with all.
        values = found.setdefault(attribute.get("Name", ""), [])
        values += [_plain(value) for value in attribute.findall("saml:AttributeValue", NAMES)]
    return {name: tuple(values) for name, values in found.items()}


def _plain(value: Element) -> str | None:
    return None if len(value) else (value.text or "").strip()


def _check_begun(moment: float, now: float) -> None:
    if moment > now + LEEWAY:
        raise refused("has an assertion that is not valid yet; do the clocks agree?", "saml_not_yet_valid")


def _end(element: Element, now: float, *, name: str = "NotOnOrAfter", is_needed: bool = False) -> float:
    if is_needed and element.get(name) is None:
        raise refused(f"has no {name} where one is needed")
    moment = _time(element, name)
    if now >= moment:
        raise refused("has an assertion that has expired; log in again", "saml_expired")
    return moment


def _time(element: Element, name: str) -> float:
    """SAML core 1.3.3: UTC, and nothing else."""
    text: str = element.get(name, "")
    try:
        if _TIME.fullmatch(text) is None:
            raise ValueError(name)
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError as error:
        raise refused(f"has a {name} that is no time in UTC") from error


def texts(values: Sequence[str | None], name: str) -> tuple[str, ...]:
    """The values of an attribute that must be texts."""
    found = tuple(value for value in values if value is not None)
    if len(found) != len(values):
        raise refused(f"has an attribute {name!r} with values that are no text")
    return found
