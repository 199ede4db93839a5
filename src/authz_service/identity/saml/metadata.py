"""An identity provider by its metadata: where it logs people in, and which keys sign its assertions."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from lxml import etree

from authz_service.errors import Misconfigured, Unauthenticated
from authz_service.identity.download import is_safe
from authz_service.identity.keys import SMALLEST_RSA_KEY
from authz_service.identity.saml.signatures import signed_element
from authz_service.identity.saml.xml import METADATA, NAMES, PROTOCOL, Element, tag

REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_DOCTYPE: Final = b"<!DOCTYPE"


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    """`sign_on` is where browsers are sent; `certificates` hold the keys that sign, and no weak ones.

    `valid_until` is in seconds since the epoch, None where the provider does not say. With
    `wants_signed_requests` it logs in nobody whose request is not signed.
    """

    entity_id: str
    sign_on: str
    certificates: tuple[x509.Certificate, ...]
    valid_until: float | None
    wants_signed_requests: bool = False


def read_metadata(
    document: bytes, *, entity_id: str, signer: x509.Certificate | None, now: float
) -> IdpMetadata:
    """The metadata of one provider; raises `Misconfigured`, which says what is missing."""
    root = _parsed(document)
    if signer is not None:
        try:
            root = signed_element(root, [signer])
        except Unauthenticated as error:
            raise _unusable("is not signed by the certificate of signed_by") from error
    entity = _entity(root, entity_id)
    ends = [end for end in (_valid_until(root), _valid_until(entity)) if end is not None]
    if ends and now >= min(ends):
        raise _unusable("was valid until a time that has passed; get it anew")
    descriptor = _descriptor(entity)
    wants_signed = descriptor.get("WantAuthnRequestsSigned") in ("true", "1")
    certificates, until = _certificates(descriptor), min(ends, default=None)
    return IdpMetadata(entity_id, _sign_on(descriptor), certificates, until, wants_signed)


def read_signer(path: Path) -> x509.Certificate:
    """The certificate in a PEM file; raises `Misconfigured`."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} holds no certificate that can be read (PEM)") from error


def _parsed(document: bytes) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        encoding="utf-8",
    )
    try:
        document.decode()
        root = etree.fromstring(document.strip(), parser)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError) as error:
        raise _unusable("is no well-formed XML in UTF-8") from error
    if _DOCTYPE in document or root.getroottree().docinfo.doctype:
        raise _unusable("has a document type, which metadata has no use for")
    return root


def _entity(root: Element, entity_id: str) -> Element:
    found = [
        entity
        for entity in root.iter(tag(METADATA, "EntityDescriptor"))
        if entity.get("entityID") == entity_id
    ]
    if len(found) != 1:
        raise _unusable("is of another provider: its entityID must be entity_id, character by character")
    return found[0]


def _descriptor(entity: Element) -> Element:
    for descriptor in entity.findall("md:IDPSSODescriptor", NAMES):
        if PROTOCOL in descriptor.get("protocolSupportEnumeration", "").split():
            return descriptor
    raise _unusable("is of no identity provider for SAML 2.0 (IDPSSODescriptor)")


def _sign_on(descriptor: Element) -> str:
    for service in descriptor.findall("md:SingleSignOnService", NAMES):
        location: str = service.get("Location", "")
        if service.get("Binding") == REDIRECT and is_safe(location):
            return location
    raise _unusable("names no SingleSignOnService with the binding HTTP-Redirect and an https URL")


def _certificates(descriptor: Element) -> tuple[x509.Certificate, ...]:
    found = [
        certificate
        for key in descriptor.findall("md:KeyDescriptor", NAMES)
        if key.get("use", "signing") == "signing"
        for element in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMES)
        for certificate in _certificate(element.text or "")
    ]
    if not found:
        needed = f"RSA of {SMALLEST_RSA_KEY} bits or more, or ECDSA on P-256, P-384 or P-521"
        raise _unusable(f"has no certificate for signing with a key that is strong enough ({needed})")
    return tuple(dict.fromkeys(found))


def _certificate(text: str) -> list[x509.Certificate]:
    """None for one that cannot be read, or whose key is weak; another may be good."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
        key = certificate.public_key()
    except (ValueError, binascii.Error, TypeError):
        return []
    is_rsa = isinstance(key, RSAPublicKey) and key.key_size >= SMALLEST_RSA_KEY
    is_ec = isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES
    return [certificate] if is_rsa or is_ec else []


def _valid_until(element: Element) -> float | None:
    text: str | None = element.get("validUntil")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError as error:
        raise _unusable("has a validUntil that is no time") from error


def _unusable(what: str) -> Misconfigured:
    return Misconfigured(f"the provider's SAML metadata {what}")
