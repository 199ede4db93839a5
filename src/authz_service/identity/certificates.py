"""Services by the client certificate that Envoy has verified: which of those that are listed it names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography import x509

from authz_service.config.identity_values import CertificateService, ClientCertificates
from authz_service.errors import Unauthenticated
from authz_service.view.caller import CERTIFICATES, Caller

MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class _Read:
    name: str
    expires_at: float


class CertificateCallers:
    """Says whose a certificate is. Chain, signature and beginning are Envoy's to check, on each connection.

    `clock` is in seconds since the epoch.
    """

    def __init__(self, settings: ClientCertificates, clock: Callable[[], float] = time.time) -> None:
        self._services = {service.name: service for service in settings.services}
        self._clock = clock
        self._remembered: dict[bytes, _Read] = {}

    def verify(self, encoded: str) -> Caller:
        """Who sends a request over a connection with this certificate, PEM in URL encoding."""
        digest = hashlib.sha256(encoded.encode()).digest()
        read = self._remembered.get(digest)
        if read is None:
            read = _read(encoded)
            if len(self._remembered) >= MOST_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[digest] = read
        service = self._services.get(read.name)
        if service is None:
            message = "the client certificate names no service that is listed here"
            raise Unauthenticated(message, code="unknown_certificate")
        # A connection, or a TLS session that is resumed, can outlive the certificate that began it.
        if self._clock() >= read.expires_at:
            raise Unauthenticated("the client certificate has expired", code="certificate_expired")
        return _caller(service, read.expires_at)

    def recheck(self, caller: Caller) -> None:
        """Whether a caller's service is still listed; raises what verifying it does."""
        service = self._services.get(caller.subject)
        if service is None:
            message = "the client certificate names no service that is listed here"
            raise Unauthenticated(message, code="unknown_certificate")


def _caller(service: CertificateService, expires_at: float) -> Caller:
    return Caller(
        issuer=CERTIFICATES,
        subject=service.name,
        expires_at=expires_at,
        groups=service.groups,
        claims={"owner": service.owner},
        scope=service.scope,
    )


def _read(encoded: str) -> _Read:
    try:
        certificate = x509.load_pem_x509_certificate(unquote(encoded).encode())
        return _Read(_name(certificate), certificate.not_valid_after_utc.timestamp())
    except (ValueError, x509.DuplicateExtension) as error:
        message = "the client certificate names nobody, or several, or cannot be read"
        raise Unauthenticated(message, code="malformed_certificate") from error


def _name(certificate: x509.Certificate) -> str:
    """Its one URI (SPIFFE's X.509-SVID, section 2: exactly one), or without any its subject by RFC 4514."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = found.value.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    if len(uris) > 1:
        raise ValueError("several URIs")
    name = uris[0] if uris else certificate.subject.rfc4514_string()
    if not name or not name.isprintable():
        raise ValueError("no name")
    return name
