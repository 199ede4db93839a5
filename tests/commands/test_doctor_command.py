"""`authz doctor` finds what is wrong, says the next step, and changes nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from authz_service.commands import doctor_checks as checks
from authz_service.commands.doctor import command
from authz_service.commands.doctor_checks import Status
from authz_service.config.gateway_values import Credential, Model
from authz_service.config.starter import starter_text


class Answering(HTTPServer):
    """A model server that answers one status, and remembers who asked how."""

    status = 200
    asked: list[Any]


class _Answer(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("authorization")))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering(("127.0.0.1", 0), _Answer) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(data: Path, *options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    result = CliRunner().invoke(command, ["--data-dir", str(data), "--json", *options])
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(result.stdout):
        found.setdefault(finding["check"], []).append(finding)
    return result.exit_code, found


@pytest.fixture
def data(tmp_path: Path, server: Answering) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "authz.yaml").write_text(
        starter_text(
            model_url=f"http://127.0.0.1:{server.server_port}", models=["llama"], listen="127.0.0.1:39999"
        )
    )
    (folder / "authz.yaml").chmod(0o600)
    return folder


def test_a_machine_without_anything_yet_is_fine(tmp_path: Path) -> None:
    code, found = run(tmp_path / "none")
    assert code == 0
    assert found["configuration"][0]["next"] == "authz up"
    assert not (tmp_path / "none").exists()


def test_an_installation_whose_file_is_elsewhere_and_was_not_named_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir(mode=0o700)
    (served / "log.key").touch(mode=0o600)
    code, found = run(served)
    assert code == 1
    assert found["configuration"][0]["next"] == "authz doctor --config FILE"
    monkeypatch.setenv("AUTHZ_CONFIG", str(data / "authz.yaml"))
    assert run(served)[1]["configuration"][0]["message"] == str(data / "authz.yaml")


@pytest.mark.e2e
def test_an_installation_that_works_has_no_failure(data: Path) -> None:
    code, found = run(data)
    assert code == 0, found
    assert found["Envoy file"][0]["status"] == "ok"
    assert found["Envoy"][0]["message"] == "Envoy 1.40.0"


def test_a_model_that_answers_anybody_is_worth_a_warning(data: Path, server: Answering) -> None:
    _, found = run(data)
    assert found["model llama"][0]["status"] == "warn"
    assert server.asked == [("/v1/models", None)]


@pytest.mark.parametrize("status", [401, 403])
def test_a_model_that_wants_a_credential_is_fine(data: Path, server: Answering, status: int) -> None:
    server.status = status
    assert run(data)[1]["model llama"][0]["status"] == "ok"


def test_a_model_that_is_away_fails(server: Answering) -> None:
    (finding,) = checks.check_model(Model("m", "http://127.0.0.1:1"))
    assert finding.status is Status.FAIL
    assert finding.next_step


def test_a_credential_that_is_missing_or_open_fails(server: Answering, tmp_path: Path) -> None:
    server.status = 401
    key = tmp_path / "key"
    model = Model("m", f"http://127.0.0.1:{server.server_port}", credential=Credential(key))
    assert [f.status for f in checks.check_model(model)] == [Status.FAIL, Status.OK]
    key.write_text("sk-secret-key")
    key.chmod(0o644)
    first, _ = checks.check_model(model)
    assert first.status is Status.FAIL
    assert "sk-secret-key" not in first.message + first.next_step
    key.chmod(0o600)
    assert [f.status for f in checks.check_model(model)] == [Status.OK]


@pytest.mark.parametrize(("events", "is_told"), [(None, False), ("[opened]", False), ("[break_glass]", True)])
def test_decisions_alone_that_nobody_is_told_of_are_worth_a_warning(
    data: Path, *, events: str | None, is_told: bool
) -> None:
    file = data / "authz.yaml"
    rule = "  break_glass: \"'oncall' in person.groups\"\n"
    text = file.read_text().replace("review:\n", f"review:\n{rule}")
    if events is not None:
        hook = (
            f"{{name: chat, url: 'https://chat.example/', secret: {{file: chat.secret}}, events: {events}}}"
        )
        text += f"notify: {{webhooks: [{hook}]}}\n"
    file.write_text(text)
    _, found = run(data)
    assert found["configuration"][0]["status"] == "ok"
    assert ("break-glass" in found) is not is_told


def test_files_that_others_can_read_fail(data: Path) -> None:
    (data / "seal.key").write_bytes(b"x" * 32)
    (data / "seal.key").chmod(0o644)
    code, found = run(data)
    assert code == 1
    assert "seal.key" in found["data directory"][0]["message"]


def test_a_configuration_with_faults_fails_and_names_them(data: Path) -> None:
    (data / "authz.yaml").write_text("version: 1\nmodles: []\n")
    code, found = run(data)
    assert code == 1
    assert "modles" in found["configuration"][0]["message"]


def test_an_envoy_file_that_opens_the_gate_fails(data: Path, tmp_path: Path) -> None:
    from authz_service.proxy.template import template_text

    opened = tmp_path / "envoy.yaml"
    opened.write_text(template_text().replace("allow_mode_override: false", "allow_mode_override: true"))
    code, found = run(data, "--envoy-file", str(opened))
    assert code == 1
    assert "mode_override" in found["Envoy file"][0]["message"]


@pytest.mark.parametrize(
    ("version", "status"), [((3, 40, 1), "warn"), ((3, 51, 2), "warn"), ((3, 51, 3), "ok")]
)
def test_the_sqlite_that_can_damage_a_database_is_named(version: tuple[int, ...], status: str) -> None:
    (finding,) = checks.check_sqlite(version)
    assert finding.status == status


def test_a_clock_that_went_back_is_noticed(data: Path) -> None:
    connection = sqlite3.connect(data / "authz.db")
    connection.execute("CREATE TABLE head (last_at BIGINT)")
    connection.execute("INSERT INTO head VALUES (?)", (int((time.time() + 3600) * 1_000_000),))
    connection.commit()
    connection.close()
    (data / "authz.db").chmod(0o600)
    assert run(data)[1]["clock"][0]["status"] == "warn"


def test_few_open_files_are_worth_a_warning() -> None:
    assert [f.status for f in checks.check_open_files(1024)] == [Status.WARN]
    assert [f.status for f in checks.check_open_files(20_000)] == [Status.OK]
