"""`authz serve` alone: its review API over TLS, and never over plain TCP."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authz_service.config.starter import starter_text
from authz_service.identity.embedded import EmbeddedIssuer


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "review.pem", tmp_path / "review.key"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return cert_file, key_file


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    config = tmp_path / "authz.yaml"
    config.write_text(starter_text(model_url="http://127.0.0.1:9"))
    return ["serve", "--config", str(config), "--data-dir", str(tmp_path / "data")]


def authz(*words: str) -> list[str]:
    return [sys.executable, "-m", "authz_cli.main", *words]


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("AUTHZ_")} | more


def test_reviewers_reach_it_over_tls(
    tmp_path: Path, arguments: list[str], certificate: tuple[Path, Path]
) -> None:
    cert, key = map(str, certificate)
    tls = ["--review", "localhost:0", "--review-cert", cert, "--review-key", key]
    with subprocess.Popen(
        authz(*arguments, *tls),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as serving:
        try:
            assert serving.stdout
            address = json.loads(serving.stdout.readline())["review"]
            issuer = EmbeddedIssuer.load(tmp_path / "data" / "issuer.pem")
            token = issuer.sign("rita", ["reviewers"], audience="authz-review", ttl=60, now=time.time())
            command = authz("hold", "list", "--json", "--server", address, "--ca", cert)
            listed = subprocess.run(
                command, capture_output=True, text=True, env=environment(AUTHZ_TOKEN=token), check=False
            )
            assert (listed.returncode, listed.stdout.strip()) == (0, "[]"), listed.stderr
        finally:
            serving.terminate()


def test_plain_tcp_is_refused(arguments: list[str]) -> None:
    refused = subprocess.run(
        authz(*arguments, "--review", "127.0.0.1:0"),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert refused.returncode == 2
    assert "never served over plain TCP" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_certificate_without_its_key_is_wrong_usage(
    arguments: list[str], certificate: tuple[Path, Path]
) -> None:
    command = authz(*arguments, "--review", "127.0.0.1:0", "--review-cert", str(certificate[0]))
    refused = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert refused.returncode == 2
    assert "go together" in refused.stderr
