"""Keys over https come from whom a certificate authority vouches for, and from nobody else."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.identity.key_server import KeyServer

from authz_service.errors import Unavailable
from authz_service.identity.download import new_client
from authz_service.identity.jwks_url import JwksUrl
from authz_service.identity.key_cache import KeyCache

if TYPE_CHECKING:
    from tests.identity.provider import Provider


def certificate(folder: Path, name: str) -> Path:
    """A PEM file with a key and a certificate for `name`, which it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return file


def fetched_from(certificate: Path, provider: Provider) -> set[str | None]:
    """The ids of the keys at https://localhost, whose server has this certificate."""

    async def run() -> set[str | None]:
        server = KeyServer()
        server.publish(provider.jwks("rsa"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/keys"
        async with new_client() as client:
            cache = KeyCache(JwksUrl(url, client))
            try:
                return {(await cache.find("rsa", "RS256")).kid}
            finally:
                await cache.close()
                listener.close()
                await listener.wait_closed()

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_certificate_that_nobody_vouches_for_is_refused(provider: Provider, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        fetched_from(certificate(tmp_path, "localhost"), provider)


def test_a_certificate_authority_of_ones_own_is_trusted_where_the_environment_says_so(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(good))
    assert fetched_from(good, provider) == {"rsa"}


def test_a_certificate_for_another_name_is_refused(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = certificate(tmp_path, "login.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with pytest.raises(Unavailable):
        fetched_from(other, provider)
