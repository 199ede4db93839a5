"""Signs what the browser takes to the provider, and the certificate by which the provider checks that."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from authz_service.errors import Misconfigured

RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
BITS: Final = 3072
DAYS: Final = 3650
"""How long the certificate says it is good. Providers take the key from our metadata, and mostly look at no
more; a new one would have to be brought to each of them."""


@dataclass(frozen=True, slots=True)
class RequestSigner:
    """One key for all providers: what it signs names the provider that it is for."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def of(cls, pem: bytes) -> RequestSigner:
        """From what `new_signer` made; raises `Misconfigured` for anything else."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError) as error:
            raise _unusable() from error
        if not isinstance(key, rsa.RSAPrivateKey) or certificate.public_key() != key.public_key():
            raise _unusable()
        return cls(key, certificate)

    @property
    def der(self) -> str:
        """The certificate as metadata has it (base64)."""
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()

    def signed(self, query: str) -> str:
        """`query`, which begins with SAMLRequest, with the signature behind it (SAML bindings 3.4.4.1)."""
        octets = f"{query}&{urlencode({'SigAlg': RSA_SHA256})}"
        signature = self.key.sign(octets.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
        return f"{octets}&{urlencode({'Signature': base64.b64encode(signature).decode()})}"


def new_signer(now: datetime.datetime) -> bytes:
    """A key and a certificate for it that it has signed itself, in one PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authz requests of logins")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _unusable() -> Misconfigured:
    return Misconfigured(
        "saml_requests.pem of the data directory holds no RSA key with its certificate: restore it from a"
        " backup, or delete it and give providers our metadata anew"
    )
