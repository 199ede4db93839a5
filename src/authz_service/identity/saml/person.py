"""An assertion's subject and attributes as the claims of a token of ours."""

from __future__ import annotations

from typing import Any, Final

import orjson

from authz_service.config.identity_values import SamlBatch, SamlProvider
from authz_service.identity.saml.assertion import Assertion, texts
from authz_service.identity.saml.xml import refused
from authz_service.identity.token import LONGEST_NAME

TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
LARGEST_CLAIMS: Final = 11 * 1024
"""Bytes as JSON: in base64, with all that we add, a token of 16 KiB, which is the longest that is taken."""
PERSON: Final = "person"
"""The claim of our tokens that names a person at every issuer that knows them."""


def claims_of_person(assertion: Assertion, provider: SamlProvider) -> dict[str, Any]:
    """`sub`, `groups` (left out where the provider says nothing of them) and `person`.

    Raises `Unauthenticated` for names that could be mistaken, and for a subject that is another at each
    login or for another format: one person would be several, and could approve their own requests.
    """
    claims: dict[str, Any] = {"sub": _subject(assertion, provider)}
    if provider.groups in assertion.attributes:
        found = texts(assertion.attributes[provider.groups], provider.groups)
        claims["groups"] = [_name(group, provider.groups) for group in found]
    if provider.person is not None:
        claims[PERSON] = _one(assertion, provider.person)
    if len(orjson.dumps(claims)) > LARGEST_CLAIMS:
        what = (
            f"names groups of more than {LARGEST_CLAIMS} bytes: have the provider send those that rules name"
        )
        raise refused(what, "saml_too_many_groups")
    return claims


def claims_of_service(assertion: Assertion, provider: SamlProvider, batch: SamlBatch) -> dict[str, Any]:
    """The same for a batch client, which counts as a service account: with its owner and its scope."""
    claims = claims_of_person(assertion, provider)
    values = texts(assertion.attributes.get(batch.scope, ()), batch.scope)
    words = [word for value in values for word in value.split()]
    return {
        **claims,
        "client_id": claims["sub"],  # what makes it a service account (RFC 9068 2.2)
        "owner": _one(assertion, batch.owner),
        "scope": " ".join(words),  # whole: what was left out could be what narrows the rest
    }


def _subject(assertion: Assertion, provider: SamlProvider) -> str:
    if provider.subject is not None:
        return _one(assertion, provider.subject)
    if assertion.format == TRANSIENT:
        what = "names its subject by a NameID that is another at each login; set subject to an attribute"
        raise refused(what, "saml_transient_subject")
    if assertion.format != provider.name_format:
        what = f"names its subject by a NameID of another format than {provider.name_format!r} (name_format)"
        raise refused(what, "saml_wrong_name_format")
    return _name(assertion.subject, "NameID")


def _one(assertion: Assertion, name: str) -> str:
    found = texts(assertion.attributes.get(name, ()), name)
    if len(found) != 1:
        raise refused(f"has {len(found)} values for the attribute {name!r}, and 1 is expected")
    return _name(found[0], name)


def _name(value: str, what: str) -> str:
    if not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise refused(f"has a {what} that is no name of 1 to {LONGEST_NAME} printable characters")
    return value
