"""`authz saml metadata` and what `authz doctor` says of providers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import etree
from tests.identity.saml_idp import metadata, signer

from authz_cli.main import cli
from authz_service.cel.load import load_config
from authz_service.commands.doctor_checks import Status, check_ports
from authz_service.commands.doctor_saml import check_saml
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.runtime.saml_serving import request_signer

FILE = """\
version: 1
models: [{{name: llama, url: "http://127.0.0.1:8000"}}]
identity:
  saml:
    - {{name: corp, entity_id: "https://idp.example.com/saml", metadata: corp.xml, audience: llm-gateway}}
    {more}
review: {{reviewers: "false", auditors: "false"}}
login: {{url: "https://login.example.com", listen: {{address: "127.0.0.1:8444"}}}}
"""
DIR = ("--data-dir",)
OTHER = '- {name: other, entity_id: "https://x.example", metadata: other.xml, audience: a, person: mail}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corp.xml").write_bytes(metadata())
    return tmp_path


def config(folder: Path, more: str = "") -> Path:
    path = folder / "authz.yaml"
    path.write_text(FILE.format(more=more))
    return path


def test_our_metadata_is_printed_for_the_only_provider_or_the_one_that_is_named(folder: Path) -> None:
    path, keys = str(config(folder)), set()
    DataDir.open(folder / "data").saml_key.touch()  # the service has started there
    for words in ([], ["corp"]):
        done = CliRunner().invoke(
            cli, ["saml", "metadata", *words, *DIR, str(folder / "data"), "--config", path]
        )
        assert done.exit_code == 0, done.output
        root = etree.fromstring(done.output.encode())
        assert root.get("entityID") == "https://login.example.com/saml/corp/metadata"
        keys.add(root.findtext(".//{*}KeyDescriptor//{*}X509Certificate"))
    # The key that the service signs with, and no other at each call.
    assert keys == {request_signer(DataDir.open(folder / "data")).der}
    assert (folder / "data" / "saml_requests.pem").stat().st_mode & 0o777 == 0o600


def test_where_no_service_has_started_no_key_is_made_but_beside_its_configuration(folder: Path) -> None:
    path = str(config(folder))
    done = CliRunner().invoke(cli, ["saml", "metadata", *DIR, str(folder / "elsewhere"), "--config", path])
    assert (done.exit_code != 0, "CERTIFICATE" in done.output, "--data-dir" in done.output) == (
        True,
        False,
        True,
    )
    assert not (folder / "elsewhere").exists()
    folder.chmod(0o700)
    for named in ([], ["--config", path]):
        done = CliRunner().invoke(cli, ["saml", "metadata", *DIR, str(folder), *named])
        assert done.exit_code == 0, done.output
    assert (folder / "saml_requests.pem").is_file()


def test_a_key_for_requests_that_is_none_is_a_fault_with_the_next_step(folder: Path) -> None:
    data = DataDir.open(folder / "data")
    data.saml_requests.write_bytes(b"no key")
    data.saml_requests.chmod(0o600)
    with pytest.raises(Misconfigured, match="restore it from a backup"):
        request_signer(data)


def test_with_several_one_must_be_named(folder: Path) -> None:
    path = str(config(folder, OTHER))
    for words in ([], ["third"]):
        done = CliRunner().invoke(cli, ["saml", "metadata", *words, "--config", path])
        assert (done.exit_code, "corp, other" in done.output) == (2, True), done.output


def test_a_configuration_that_is_not_there_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["saml", "metadata", "--data-dir", str(tmp_path)])
    assert (done.exit_code != 0, "--config" in done.output) == (True, True)


@pytest.mark.parametrize(
    ("days", "status", "message"),
    [
        (90, Status.OK, "1 key, and logins at https://idp.example.com/sso"),
        (10, Status.WARN, "expires in"),
        (-1, Status.FAIL, "has expired"),
    ],
)
def test_the_doctor_says_when_the_providers_key_ends(
    days: int, status: Status, message: str, folder: Path
) -> None:
    (folder / "corp.xml").write_bytes(metadata(signer("ending", days=days)))
    (finding,) = check_saml(load_config(config(folder)).config)
    assert (finding.check, finding.status, message in finding.message) == ("saml corp", status, True), finding


def test_the_doctor_names_metadata_that_cannot_be_used_and_people_who_would_be_two(folder: Path) -> None:
    found = list(check_saml(load_config(config(folder, OTHER)).config))
    assert [finding.status for finding in found] == [Status.OK, Status.FAIL, Status.WARN]
    assert "other.xml" in found[1].message
    assert "counts as two" in found[2].message


def test_without_saml_the_doctor_says_nothing(folder: Path) -> None:
    path = folder / "authz.yaml"
    path.write_text('version: 1\nmodels: [{name: llama, url: "http://127.0.0.1:8000"}]\n')
    assert list(check_saml(load_config(path).config)) == []


def test_the_doctor_tries_the_port_of_logins_too(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = config(folder)
        path.write_text(path.read_text().replace(":8444", f":{port}"))
        _, finding = check_ports(load_config(path).config, DataDir(folder / "data"))
    assert (finding.status, finding.next_step) == (Status.FAIL, "choose another for login.listen")
