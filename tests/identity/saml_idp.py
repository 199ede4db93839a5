"""An identity provider in Python: its metadata, and assertions as good or as bad as a test wants them."""

from __future__ import annotations

import base64
import datetime
import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import SignatureConstructionMethod
from signxml.signer import XMLSigner

ENTITY = "https://idp.example.com/saml"
SIGN_ON = "https://idp.example.com/sso"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_PLACE = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"></ds:Signature>'


class _AnySigner(XMLSigner):
    """Signs with what nobody should sign with any more, too."""

    def check_deprecated_methods(self) -> None:
        """They are what is tested."""


@dataclass(frozen=True)
class Signer:
    """A key with a certificate."""

    private: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> str:
        """The same as metadata has it."""
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()


@functools.cache
def signer(name: str = "idp", *, bits: int = 2048, days: int = 90) -> Signer:
    """A key of its own for each name; `bits` 256 is one on P-256. With `days` below zero it has expired."""
    private: Any = (
        ec.generate_private_key(ec.SECP256R1()) if bits == 256 else rsa.generate_private_key(65537, bits)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    return Signer(private, certificate)


def metadata(
    *signers: Signer, entity: str = ENTITY, sign_on: str = SIGN_ON, more: str = "", inside: str = ""
) -> bytes:
    """Metadata with these keys; `more` are attributes of its descriptor, `inside` more elements."""
    keys = "".join(
        '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>'
        f"{each.der}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for each in signers or (signer(),)
    )
    return (
        '<?xml version="1.0"?>\n<!-- of a product that writes comments -->\n'
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"'
        f' xmlns:ds="http://www.w3.org/2000/09/xmldsig#" ID="_m1" entityID="{entity}">'
        "<md:IDPSSODescriptor"
        f' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol" {more}>{keys}{inside}'
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"'
        f' Location="{sign_on}/post"/>'
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
        f' Location="{sign_on}"/></md:IDPSSODescriptor></md:EntityDescriptor>'
    ).encode()


@dataclass(frozen=True)
class Say:
    """What an assertion says; None leaves a part out. Times are seconds since the epoch."""

    audience: str | None
    recipient: str | None
    in_response_to: str | None
    now: float
    id: str = "_a1"
    issuer: str = ENTITY
    subject: str = "alice@example.com"
    format: str = PERSISTENT
    attributes: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {"groups": ("staff", "reviewers")}
    )
    begins: float | None = -30.0
    ends: float | None = 300.0
    confirmed: float | None = 300.0
    issued: float = 0.0
    session: float | None = None
    logged_in: float = 0.0
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    conditions: str = ""
    confirmation: str = ""
    name_id: str | None = None
    name_more: str = ""
    statement: bool = True
    version: str = "2.0"

    def but(self, **changes: Any) -> Say:
        """The same but for these."""
        return replace(self, **changes)

    def text(self) -> str:
        """The assertion, not signed yet."""
        name = escape(self.subject) if self.name_id is None else self.name_id
        return (
            f'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{self.id}"'
            f' Version="{self.version}" IssueInstant="{self.at(self.issued)}">'
            f"<saml:Issuer>{escape(self.issuer)}</saml:Issuer>{_PLACE}"
            f'<saml:Subject><saml:NameID Format="{self.format}" {self.name_more}>{name}</saml:NameID>'
            f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData'
            f"{self._optional('Recipient', self.recipient)}"
            f"{self._optional('InResponseTo', self.in_response_to)}"
            f"{self._moment('NotOnOrAfter', self.confirmed)} {self.confirmation}/></saml:SubjectConfirmation>"
            "</saml:Subject>"
            f"<saml:Conditions{self._moment('NotBefore', self.begins)}"
            f"{self._moment('NotOnOrAfter', self.ends)}>"
            f"{self._audience()}{self.conditions}</saml:Conditions>{self._statement()}{self._attributes()}"
            "</saml:Assertion>"
        )

    def at(self, offset: float) -> str:
        """A time so many seconds from now."""
        moment = datetime.datetime.fromtimestamp(self.now + offset, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "7Z"  # .NET has seven digits

    def _moment(self, name: str, offset: float | None) -> str:
        return "" if offset is None else f' {name}="{self.at(offset)}"'

    @staticmethod
    def _optional(name: str, value: str | None) -> str:
        return "" if value is None else f" {name}={quoteattr(value)}"

    def _audience(self) -> str:
        if self.audience is None:
            return ""
        audience = f"<saml:Audience>{escape(self.audience)}</saml:Audience>"
        return f"<saml:AudienceRestriction>{audience}</saml:AudienceRestriction>"

    def _statement(self) -> str:
        if not self.statement:
            return ""
        ends = self._moment("SessionNotOnOrAfter", self.session)
        reference = "<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef>"
        context = f"<saml:AuthnContext>{reference}</saml:AuthnContext>"
        moment = self._moment("AuthnInstant", self.logged_in)
        return f"<saml:AuthnStatement{moment}{ends}>{context}</saml:AuthnStatement>"

    def _attributes(self) -> str:
        told = "".join(
            f"<saml:Attribute Name={quoteattr(name)}>"
            + "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in self.attributes.items()
        )
        return f"<saml:AttributeStatement>{told}</saml:AttributeStatement>" if told else ""


def sign(
    text: str,
    by: Signer | None = None,
    *,
    algorithm: str | None = None,
    digest: str = "sha256",
    c14n: str = EXCLUSIVE,
) -> Any:
    """The element with a signature in its place, over the whole of it."""
    by = by or signer()
    chosen = algorithm or (
        "ecdsa-sha256" if isinstance(by.private, ec.EllipticCurvePrivateKey) else "rsa-sha256"
    )
    maker = _AnySigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=chosen,
        digest_algorithm=digest,
        c14n_algorithm=c14n,
    )
    root = etree.fromstring(text)
    return maker.sign(
        root, key=by.private, cert=[by.certificate], reference_uri=root.get("ID"), id_attribute="ID"
    )


def unsigned(text: str) -> Any:
    """The element as it is, without a signature."""
    return etree.fromstring(text.replace(_PLACE, ""))


def response(
    *assertions: Any,
    destination: str | None,
    in_response_to: str | None,
    issuer: str = ENTITY,
    status: str = SUCCESS,
    by: Signer | None = None,
) -> bytes:
    """A response with these, itself signed if `by` says by whom."""
    attributes = Say._optional("Destination", destination) + Say._optional("InResponseTo", in_response_to)
    text = (
        '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
        ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r1" Version="2.0"'
        f' IssueInstant="2026-01-01T00:00:00Z"{attributes}>'
        f"<saml:Issuer>{escape(issuer)}</saml:Issuer>{_PLACE}"
        f'<samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status>'
        + "".join(etree.tostring(each, with_tail=False).decode() for each in assertions)
        + "</samlp:Response>"
    )
    return bytes(etree.tostring(sign(text, by) if by is not None else unsigned(text)))


def posted(document: bytes) -> str:
    """A message as a form has it."""
    return base64.b64encode(document).decode()


def is_signed(url: str, us: bytes) -> bool:
    """Whether what a browser brings is signed by the key in our metadata `us`, as a provider checks it.

    That is over the octets of the query as they came (SAML bindings 3.4.4.1).
    """
    (text,) = etree.fromstring(us).iterfind(".//{*}KeyDescriptor[@use='signing']//{*}X509Certificate")
    key = x509.load_der_x509_certificate(base64.b64decode(text.text)).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    parts = [part for part in urlsplit(url).query.split("&") if part.startswith(("SAML", "Sig"))]
    if [part.partition("=")[0] for part in parts] != ["SAMLRequest", "SigAlg", "Signature"]:
        return False
    signature = base64.b64decode(parse_qs(parts[2])["Signature"][0])
    assert parse_qs(parts[1])["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    try:
        key.verify(signature, "&".join(parts[:2]).encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def asked(url: str) -> Any:
    """The AuthnRequest that a browser brings."""
    packed = base64.b64decode(parse_qs(urlsplit(url).query)["SAMLRequest"][0])
    return etree.fromstring(zlib.decompress(packed, wbits=-15))
