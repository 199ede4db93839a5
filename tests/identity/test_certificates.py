"""Whose a client certificate is, once Envoy has verified it."""

from __future__ import annotations

import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authz_service.config.identity_values import CertificateService, ClientCertificates
from authz_service.errors import Unauthenticated
from authz_service.identity.certificates import CertificateCallers
from authz_service.view.caller import CERTIFICATES

NOW = 1_800_000_000.0
NAME = "spiffe://example.com/batch"
SERVICE = CertificateService(NAME, "olga", ("model:llama",), ("staff",))


def certificate(*uris: str, ends: float = NOW + 3600) -> str:
    """As Envoy hands it on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(
        datetime.datetime.fromtimestamp(NOW - 60, datetime.UTC)
    )
    builder = builder.not_valid_after(datetime.datetime.fromtimestamp(ends, datetime.UTC))
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return quote(pem.decode(), safe="")


def callers(now: list[float], *services: CertificateService) -> CertificateCallers:
    settings = ClientCertificates(Path("clients.crt"), services or (SERVICE,))
    return CertificateCallers(settings, lambda: now[0])


def test_a_listed_service_has_its_owner_groups_and_scope() -> None:
    caller = callers([NOW]).verify(certificate(NAME))
    assert (caller.issuer, caller.subject, caller.groups) == (CERTIFICATES, NAME, ("staff",))
    assert (caller.claims, caller.scope) == ({"owner": "olga"}, ("model:llama",))
    assert caller.expires_at == NOW + 3600


def test_a_certificate_that_ends_while_its_connection_lives_is_refused() -> None:
    now = [NOW]
    known, shown = callers(now), certificate(NAME)
    assert known.verify(shown).subject == NAME
    now[0] = NOW + 3600
    with pytest.raises(Unauthenticated) as refused:
        known.verify(shown)
    assert refused.value.code == "certificate_expired"


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (certificate("spiffe://example.com/other"), "unknown_certificate"),
        (certificate(), "unknown_certificate"),
        (certificate(NAME, "spiffe://example.com/other"), "malformed_certificate"),
        ("nonsense", "malformed_certificate"),
        (quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "malformed_certificate"),
    ],
)
def test_nobody_else_is_anybody(shown: str, code: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        callers([NOW]).verify(shown)
    assert refused.value.code == code


def test_a_service_that_is_listed_no_more_gets_no_held_request_released() -> None:
    caller = callers([NOW]).verify(certificate(NAME))
    callers([NOW]).recheck(caller)
    other = CertificateService("spiffe://example.com/other", "olga", ("model:llama",))
    with pytest.raises(Unauthenticated):
        callers([NOW], other).recheck(caller)
