"""Checks an enveloped signature, and hands out what was signed: nothing else of the message is believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.xml import NAMES, SIGNATURE, Element, refused, tag

_SHA2: Final = ("SHA256", "SHA384", "SHA512")
METHODS: Final = frozenset(
    method
    for method in SignatureMethod
    if method.name.startswith(("RSA_", "ECDSA_", "SHA")) and any(size in method.name for size in _SHA2)
)
"""RSA (PKCS #1 1.5 and PSS) and ECDSA over SHA-2: no SHA-1, no DSA, no HMAC, whose key would be public."""
DIGESTS: Final = frozenset(method for method in DigestAlgorithm if method.name in _SHA2)
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"

_CONFIGURATION: Final = SignatureConfiguration(
    require_x509=True,
    location="./",
    expect_references=1,
    signature_methods=METHODS,
    digest_algorithms=DIGESTS,
)


def signed_element(element: Element, certificates: Sequence[x509.Certificate]) -> Element:
    """What the signature within `element` was made for, read again from the bytes that were hashed.

    It is a tree of its own, without the signature and whatever stood around it. Raises `Unauthenticated`
    for anything but one signature that is a child of `element`, over the whole of it and nothing else, by
    the key of one of `certificates` (those in the message count for nothing), in force now.
    """
    signatures = signatures_of(element)
    if len(signatures) != 1:
        raise refused("has no signature where one is expected, or several", "saml_bad_signature")
    _check_form(signatures[0], element)
    # On its own: a reference cannot lead to anything that stands elsewhere in the message.
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    for certificate in certificates:
        found = _verified(alone, certificate)
        if found is not None and found.tag == element.tag and found.get("ID") == element.get("ID"):
            return found
    raise refused("is not signed with a key of its provider", "saml_bad_signature")


def signatures_of(element: Element) -> list[Element]:
    """The signatures that are children of `element`."""
    return list(element.findall(tag(SIGNATURE, "Signature")))


def check_places(root: Element, *allowed: Element) -> None:
    """No signature stands anywhere but as a child of these; a wrapped one would (XSW)."""
    expected = sum(len(signatures_of(element)) for element in allowed)
    if sum(1 for _ in root.iter(tag(SIGNATURE, "Signature"))) != expected:
        raise _bad("stands where none belongs")


def _check_form(signature: Element, element: Element) -> None:
    """SAML core 5.4: one reference, to the element by its ID, and two transforms at most."""
    references = signature.findall("ds:SignedInfo/ds:Reference", NAMES)
    identifier = element.get("ID")
    if len(references) != 1 or not identifier or references[0].get("URI") != f"#{identifier}":
        raise _bad("is over something else than what it stands in")
    transforms = references[0].findall("ds:Transforms/ds:Transform", NAMES)
    if [transform.get("Algorithm") for transform in transforms] != [ENVELOPED, EXCLUSIVE]:
        raise _bad("uses transforms other than enveloped-signature and exclusive canonicalization")
    canonical = signature.find("ds:SignedInfo/ds:CanonicalizationMethod", NAMES)
    if canonical is None or canonical.get("Algorithm") != EXCLUSIVE:
        raise _bad("uses another canonicalization than the exclusive one without comments")
    if signature.find("ds:Object", NAMES) is not None:
        raise _bad("carries objects of its own")
    _check_algorithms(signature)


def _check_algorithms(signature: Element) -> None:
    method = signature.find("ds:SignedInfo/ds:SignatureMethod", NAMES)
    digest = signature.find("ds:SignedInfo/ds:Reference/ds:DigestMethod", NAMES)
    found = [None if each is None else each.get("Algorithm") for each in (method, digest)]
    if found[0] not in {each.value for each in METHODS} or found[1] not in {each.value for each in DIGESTS}:
        message = "is signed with an algorithm that is not accepted: RSA or ECDSA with SHA-256 or longer"
        raise refused(message, "saml_algorithm_refused")


def _verified(alone: Element, certificate: x509.Certificate) -> Element | None:
    try:
        result = XMLVerifier().verify(
            alone, x509_cert=certificate, expect_config=_CONFIGURATION, id_attribute="ID"
        )
    except (SignXMLException, ValueError, TypeError, etree.LxmlError):
        return None
    return None if isinstance(result, list) else result.signed_xml


def _bad(what: str) -> Unauthenticated:
    return refused(f"has a signature that {what}", "saml_bad_signature")
