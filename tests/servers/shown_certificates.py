"""Certificates that a listener shows, and files of them."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.identity.saml_idp import Signer

from authz_service.config.gateway_values import Tls


def write(folder: Path, cert: Signer | None = None, key: Signer | None = None) -> Tls:
    if cert is not None:
        (folder / "new.crt").write_text(cert.pem)
        (folder / "new.crt").replace(folder / "login.crt")
    if key is not None:
        pem = key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "new.key").write_bytes(pem)
        (folder / "new.key").replace(folder / "login.key")
    return Tls(folder / "login.crt", folder / "login.key")


async def shown(address: str, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> x509.Certificate:
    """The certificate that a client is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der)
