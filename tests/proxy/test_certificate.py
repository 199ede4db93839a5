"""The listener's certificate is handed to Envoy only as a pair that belongs together."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from authz_service.cel.load import load_config
from authz_service.config.gateway_values import Link, Listen, Tls
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.certificates import make_certificates
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.certificate import write_certificates
from authz_service.proxy.settings import certificate_path, link_certificate_path


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path / "data")


@pytest.fixture
def pair(tmp_path: Path) -> Tls:
    make_certificates(tmp_path / "tls", ["127.0.0.1"], days=2)
    return Tls(tmp_path / "tls" / "service.crt", tmp_path / "tls" / "service.key")


def config(tmp_path: Path, tls: Tls | None) -> Config:
    path = tmp_path / "authz.yaml"
    path.write_text('version: 1\nmodels: [{name: llama, url: "http://127.0.0.1:8000"}]\n')
    return dataclasses.replace(load_config(path).config, listen=Listen(tls=tls))


def test_the_file_names_the_pair_and_holds_no_key(tmp_path: Path, data: DataDir, pair: Tls) -> None:
    write_certificates(config(tmp_path, pair), data)
    path = certificate_path(data)
    chain = json.loads(path.read_text())["resources"][0]["tls_certificate"]
    assert chain["certificate_chain"]["filename"] == str(pair.cert)
    assert chain["private_key"]["filename"] == str(pair.key)
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_writing_is_another_so_that_envoy_looks_again(tmp_path: Path, data: DataDir, pair: Tls) -> None:
    said = []
    for _ in range(4):
        write_certificates(config(tmp_path, pair), data)
        said.append(certificate_path(data).read_text())
    assert all(before != after for before, after in pairwise(said))
    for text in said:
        chain = json.loads(text)["resources"][0]["tls_certificate"]
        assert Path(chain["certificate_chain"]["filename"]) == pair.cert


def test_what_envoy_shows_the_service_has_a_file_of_its_own(tmp_path: Path, data: DataDir, pair: Tls) -> None:
    other = tmp_path / "tls" / "envoy.key"
    link = Link((("gate", 9443),), ("gate", 9443), pair.cert, pair.cert, pair.key, pair.cert, other)
    with pytest.raises(Misconfigured, match=r"^service: .*envoy\.key are no certificate and its key"):
        write_certificates(dataclasses.replace(config(tmp_path, None), link=link), data)
    link = dataclasses.replace(link, envoy_cert=tmp_path / "tls" / "envoy.crt")
    write_certificates(dataclasses.replace(config(tmp_path, None), link=link), data)
    resource = json.loads(link_certificate_path(data).read_text())["resources"][0]
    assert resource["name"] == "link"
    assert resource["tls_certificate"]["private_key"]["filename"] == str(other)


def test_without_tls_nothing_is_written(tmp_path: Path, data: DataDir) -> None:
    write_certificates(config(tmp_path, None), data)
    assert not certificate_path(data).exists()


def test_what_is_no_pair_is_refused_and_what_was_there_stays(
    tmp_path: Path, data: DataDir, pair: Tls
) -> None:
    write_certificates(config(tmp_path, pair), data)
    before = certificate_path(data).read_text()
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    empty = tmp_path / "empty.crt"
    empty.write_text("")
    make_certificates(tmp_path / "other", ["127.0.0.1"], days=2)
    for wrong in (
        Tls(pair.cert, tmp_path / "other" / "service.key"),
        Tls(pair.cert, locked),
        Tls(empty, pair.key),
        Tls(pair.cert, tmp_path / "missing.key"),
    ):
        with pytest.raises(Misconfigured, match=r"listen\.tls"):
            write_certificates(config(tmp_path, wrong), data)
    assert certificate_path(data).read_text() == before
