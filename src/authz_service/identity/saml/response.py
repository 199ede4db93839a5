"""What the browser brings from the provider: a response with one signed assertion, to a login of ours."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from cryptography import x509

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.signatures import check_places, signatures_of, signed_element
from authz_service.identity.saml.xml import (
    ASSERTION,
    NAMES,
    PROTOCOL,
    Element,
    only,
    read_message,
    refused,
    tag,
    text_of,
)

SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_STATUS: Final = "urn:oasis:names:tc:SAML:2.0:status:"


def decoded(text: str) -> bytes:
    """The bytes of a message in a form: base64, as it is or as RFC 7522 2.1 has it for URLs."""
    # Never inflated: the bindings that we take have no compression, so nothing small becomes large.
    compact = "".join(text.split()).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise refused("is not base64") from error


def in_response_to(document: bytes) -> tuple[Element, str]:
    """The response, and the ID of the request that it says it answers; nothing of it is verified yet.

    Raises `Unauthenticated` for what is no response, and for one that nobody asked for.
    """
    root = read_message(document)
    if root.tag != tag(PROTOCOL, "Response") or root.get("Version") != "2.0":
        raise refused("is no SAML 2.0 response")
    identifier = root.get("InResponseTo", "")
    if not identifier:
        raise refused("answers no login of ours: log in from here, not from the provider", "saml_unsolicited")
    return root, identifier


def signed_assertion(
    root: Element, *, entity_id: str, destination: str, certificates: Sequence[x509.Certificate]
) -> Element:
    """The response's one assertion, as it was signed; raises `Unauthenticated` (SAML profiles 4.1.4.3)."""
    if root.get("Destination") != destination:
        raise refused("is for another address than it came to", "saml_wrong_destination")
    issuers = root.findall("saml:Issuer", NAMES)
    if len(issuers) > 1 or any(text_of(issuer) != entity_id for issuer in issuers):
        raise refused("comes from another provider", "saml_wrong_issuer")
    _check_status(root)
    assertion = _only_assertion(root)
    check_places(root, root, assertion)
    if not signatures_of(assertion):
        raise unsigned()
    if signatures_of(root):
        signed_element(root, certificates)
    return signed_element(assertion, certificates)


def bare_assertion(document: bytes, certificates: Sequence[x509.Certificate]) -> Element:
    """The assertion of a document that is nothing else, as it was signed (RFC 7522 2.1)."""
    root = read_message(document)
    if root.tag != tag(ASSERTION, "Assertion") or _count(root, "Assertion") != 1:
        raise refused("is no assertion, or several")
    check_places(root, root)
    if not signatures_of(root):
        raise unsigned()
    return signed_element(root, certificates)


def unsigned() -> Unauthenticated:
    """The refusal of an assertion without a signature of its own."""
    return refused("has an assertion that is not signed; have the provider sign assertions", "saml_unsigned")


def _only_assertion(root: Element) -> Element:
    if _count(root, "EncryptedAssertion"):
        what = "has an encrypted assertion, which is not supported: have the provider send it signed only"
        raise refused(what, "saml_encrypted")
    # Wherever it may be hidden: signature wrapping needs a second one (XSW).
    if _count(root, "Assertion") > 1:
        raise refused("has several assertions, and 1 is expected")
    return only(root, "saml:Assertion", what="assertion")


def _count(root: Element, name: str) -> int:
    # By the local name: what another schema would take for an assertion is counted as well.
    return sum(1 for element in root.iter(f"{{*}}{name}"))


def _check_status(root: Element) -> None:
    status = only(root, "samlp:Status", what="status")
    codes = [str(code.get("Value", "")) for code in status.iter(tag(PROTOCOL, "StatusCode"))]
    if codes[:1] == [SUCCESS]:
        return
    # Its last word is the closest; one of SAML's own, since a message could have anything.
    known = [code.removeprefix(_STATUS) for code in codes if code.startswith(_STATUS)]
    word = known[-1] if known and known[-1].isalpha() and len(known[-1]) < 40 else "no reason"
    raise refused(f"says that the provider did not log you in ({word})", "saml_not_logged_in")
