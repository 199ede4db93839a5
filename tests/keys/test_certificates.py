"""Certificates for the way between Envoy and the service: each for its own end, and made once."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from authz_service.errors import Misconfigured
from authz_service.keys.certificates import NAMES, make_certificates


def loaded(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def uses(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_both_are_signed_by_the_authority_and_each_is_for_its_own_end(tmp_path: Path) -> None:
    assert make_certificates(tmp_path / "link", ["authz", "10.0.0.5"], days=30)
    folder = tmp_path / "link"
    authority, service, envoy = (loaded(folder / f"{n}.crt") for n in ("authority", "service", "envoy"))
    for certificate in (service, envoy):
        certificate.verify_directly_issued_by(authority)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert not constraints.ca
    assert uses(service) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert uses(envoy) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = service.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["authz"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.0.0.5")]
    assert 29 <= (service.not_valid_after_utc - service.not_valid_before_utc).days <= 30


def test_nobody_else_reads_them_and_the_authority_keeps_no_key(tmp_path: Path) -> None:
    make_certificates(tmp_path / "link", ["authz"], days=30)
    assert sorted(path.name for path in (tmp_path / "link").iterdir()) == sorted(NAMES)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "link").iterdir()} == {0o600}
    assert (tmp_path / "link").stat().st_mode & 0o777 == 0o700


def test_what_is_there_stays_and_half_of_it_is_refused(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["authz"], days=30)
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    assert not make_certificates(tmp_path, ["other"], days=30)
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before
    (tmp_path / "envoy.key").unlink()
    with pytest.raises(Misconfigured, match="delete it to begin anew"):
        make_certificates(tmp_path, ["authz"], days=30)


def test_those_that_end_soon_are_made_anew_with_their_authority_and_others_stay(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["authz"], days=30)
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    assert not make_certificates(tmp_path, ["authz"], days=30, renew=29)
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before
    (tmp_path / "service.key.new").write_bytes(b"left by a run that was ended in the middle")
    assert make_certificates(tmp_path, ["authz"], days=60, renew=30)
    assert not {(tmp_path / name).read_bytes() for name in NAMES} & set(before.values())
    loaded(tmp_path / "service.crt").verify_directly_issued_by(loaded(tmp_path / "authority.crt"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_what_might_be_renewed_and_is_no_certificate_is_left_alone(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["authz"], days=30)
    (tmp_path / "envoy.crt").write_bytes(b"no certificate")
    with pytest.raises(Misconfigured, match="cannot be read"):
        make_certificates(tmp_path, ["authz"], days=30, renew=60)
    assert (tmp_path / "envoy.crt").read_bytes() == b"no certificate"


@pytest.mark.parametrize("last", range(5))
def test_a_renewal_that_is_ended_in_the_middle_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    make_certificates(tmp_path, ["authz"], days=30)
    replaced: list[Path] = []
    replace = Path.replace

    def ended(self: Path, target: Path) -> Path:
        if len(replaced) == last:
            raise KeyboardInterrupt
        replaced.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", ended)
    with pytest.raises(KeyboardInterrupt):
        make_certificates(tmp_path, ["authz"], days=60, renew=30)
    monkeypatch.undo()
    assert make_certificates(tmp_path, ["authz"], days=60, renew=30)
    for end in ("service", "envoy"):
        key = load_pem_private_key((tmp_path / f"{end}.key").read_bytes(), None)
        assert loaded(tmp_path / f"{end}.crt").public_key() == key.public_key()
