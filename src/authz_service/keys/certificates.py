"""An authority for one purpose, the way between Envoy and the service, and the two certificates it signs."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from authz_service.errors import Misconfigured

NAMES = ("authority.crt", "service.crt", "service.key", "envoy.crt", "envoy.key")
_NEW = ".new"
_CLOCKS_APART = datetime.timedelta(minutes=5)


def make_certificates(folder: Path, hosts: Sequence[str], *, days: int, renew: int = 0) -> bool:
    """Write `NAMES` into `folder` (0700, files 0600); False, and nothing is written, where all are there.

    The service's certificate is for `hosts`. The authority's key is forgotten: it signs these two and
    nothing else. Those that are there are replaced, authority and all, where one of them ends within
    `renew` days (0: never). Raises `Misconfigured` where only some of the files are there, one that might
    be renewed is no certificate, or none can be written.
    """
    present = [name for name in NAMES if (folder / name).exists()]
    if len(present) == len(NAMES):
        if not renew or _days_left(folder) > renew:
            return False
    elif present:
        message = f"{folder} has some of the certificates ({', '.join(present)}); delete it to begin anew"
        raise Misconfigured(message)
    authority, service, envoy = (generate_private_key(SECP256R1()) for _ in range(3))
    issuer = _name("authz link authority")
    signed = {
        "authority.crt": _certificate(issuer, authority, issuer, authority, days, authority=True),
        "service.crt": _certificate(
            _name("authz service"), service, issuer, authority, days, hosts=hosts, is_server=True
        ),
        "envoy.crt": _certificate(_name("authz envoy"), envoy, issuer, authority, days),
    }
    pem = serialization.Encoding.PEM
    files = {name: certificate.public_bytes(pem) for name, certificate in signed.items()}
    for name, key in (("service.key", service), ("envoy.key", envoy)):
        files[name] = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in sorted(files):
            _write(folder / name, files[name])
        # Keys first: ended in the middle, a certificate is old still, and the next run renews them all.
        for name in sorted(NAMES, key=lambda name: name.endswith(".crt")):
            (folder / f"{name}{_NEW}").replace(folder / name)
    except OSError as error:
        raise Misconfigured(f"cannot write {error.filename}: {error.strerror}") from error
    return True


def _certificate(
    subject: x509.Name,
    key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: EllipticCurvePrivateKey,
    days: int,
    *,
    hosts: Sequence[str] = (),
    authority: bool = False,
    is_server: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_APART)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_usage(authority), critical=True)
    )
    if not authority:
        use = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_alternative, hosts)), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _days_left(folder: Path) -> float:
    """Until the first of the certificates ends; below 0 when one has."""
    try:
        pems = [(folder / name).read_bytes() for name in NAMES if name.endswith(".crt")]
        ends = min(x509.load_pem_x509_certificate(pem).not_valid_after_utc for pem in pems)
    except (OSError, ValueError) as error:
        message = f"{folder} has a certificate that cannot be read ({error}); delete it to begin anew"
        raise Misconfigured(message) from error
    return (ends - datetime.datetime.now(datetime.UTC)) / datetime.timedelta(days=1)


def _write(path: Path, content: bytes) -> None:
    """Beside `path`, so that all of them are whole before the first is replaced."""
    new = path.with_name(f"{path.name}{_NEW}")
    new.unlink(missing_ok=True)  # of a run that was ended in the middle
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
