"""What an identity provider is to know of us: our names and addresses, as SAML metadata."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from authz_service.config.identity_values import LoginListener, SamlProvider
from authz_service.identity.saml.request import POST
from authz_service.identity.saml.request_signer import RequestSigner
from authz_service.identity.saml.xml import METADATA, PROTOCOL, SIGNATURE, tag


@dataclass(frozen=True, slots=True)
class Own:
    """Our addresses for one provider. Each has its own, so that one's assertion is never taken for another's.

    `issuer` is the `iss` of its people's tokens; `entity_id` names us to the provider.
    """

    issuer: str

    @classmethod
    def of(cls, provider: SamlProvider, listener: LoginListener) -> Own:
        """Below the URL by which browsers reach us."""
        return cls(provider.issuer(listener))

    @property
    def entity_id(self) -> str:
        """The audience of assertions; our metadata is there."""
        return f"{self.issuer}/metadata"

    @property
    def consumer(self) -> str:
        """Where browsers bring responses."""
        return f"{self.issuer}/acs"

    @property
    def authorization(self) -> str:
        """Where logins begin."""
        return f"{self.issuer}/authorize"

    @property
    def token(self) -> str:
        """The token endpoint."""
        return f"{self.issuer}/token"


def metadata_document(own: Own, signer: RequestSigner, *, signs: bool) -> bytes:
    """An EntityDescriptor (SAML metadata 2.3.2); `signs` says that our requests to this provider are signed.

    The key is in it in any case: a provider may come to insist on signatures later.
    """
    root = etree.Element(tag(METADATA, "EntityDescriptor"), nsmap={"md": METADATA, "ds": SIGNATURE})
    root.set("entityID", own.entity_id)
    descriptor = etree.SubElement(root, tag(METADATA, "SPSSODescriptor"))
    descriptor.set("AuthnRequestsSigned", "true" if signs else "false")
    descriptor.set("WantAssertionsSigned", "true")
    descriptor.set("protocolSupportEnumeration", PROTOCOL)
    key = etree.SubElement(descriptor, tag(METADATA, "KeyDescriptor"), use="signing")
    data = etree.SubElement(etree.SubElement(key, tag(SIGNATURE, "KeyInfo")), tag(SIGNATURE, "X509Data"))
    etree.SubElement(data, tag(SIGNATURE, "X509Certificate")).text = signer.der
    consumer = etree.SubElement(descriptor, tag(METADATA, "AssertionConsumerService"))
    consumer.set("Binding", POST)
    consumer.set("Location", own.consumer)
    consumer.set("index", "0")
    consumer.set("isDefault", "true")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))
