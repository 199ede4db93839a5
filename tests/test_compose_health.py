"""The health checks of docker-compose.yml are run, against what is well and what is not."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from authz_service.commands.demo_model import DemoModel
from authz_service.keys.certificates import make_certificates

ROOT = Path(__file__).parents[1]
SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "README.md",
    ROOT / "docker-compose.yml",
    *(ROOT / "compose").iterdir(),
]
TYPED = [
    (page.name, words.split())
    for page in PAGES
    for words in re.findall(r"docker compose ([^`\n;]*[^`\n;. ])", page.read_text())
]
PORTS = {"authz": "9102", "model": "8000", "envoy": "10000"}
ABOUT_SERVICES = {"exec", "kill", "restart", "cp"}


def is_well(service: str, port: str, certificates: str = "") -> bool:
    """What a service's health check comes to, with the container's port and folder made this machine's."""
    python, option, code = SERVICES[service]["healthcheck"]["test"][1:]
    assert (python, option) == ("python", "-c")
    assert PORTS[service] in code
    assert "timeout=5" in code
    code = code.replace(PORTS[service], port).replace("/var/lib/authz-tls", certificates)
    code = code.replace("timeout=5", "timeout=60")  # this machine may have much else to do
    return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=90).returncode == 0


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Its port, while it answers."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield str(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(path: str, status: int) -> ThreadingHTTPServer:
    """A server that says this to a GET of the path, and 500 to any other."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == path else 500)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Answer)


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_service_is_healthy_while_it_is_ready(status: int, *, well: bool) -> None:
    with serving(answering("/ready", status)) as port:
        assert is_well("authz", port) is well


def test_the_model_is_healthy_while_it_listens() -> None:
    with serving(DemoModel("127.0.0.1", 0)) as port:
        assert is_well("model", port)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # so that nobody else listens there
        assert not is_well("model", str(silent.getsockname()[1]))


@pytest.mark.parametrize(("status", "well"), [(401, True), (503, False), (200, False)])
def test_envoy_is_healthy_while_the_service_refuses_who_has_no_token(
    tmp_path: Path, status: int, *, well: bool
) -> None:
    """By that it is known to reach the service; were it to let such a request through, it would be broken."""
    make_certificates(tmp_path, ["localhost"], days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "service.crt", tmp_path / "service.key")
    server = answering("/v1/models", status)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        assert is_well("envoy", port, str(tmp_path)) is well


@pytest.mark.parametrize(
    ("page", "words"), TYPED, ids=lambda each: " ".join(each) if isinstance(each, list) else each
)
def test_what_people_are_told_to_type_names_services_and_files_that_there_are(
    page: str, words: list[str]
) -> None:
    verb, *rest = words
    assert verb in ABOUT_SERVICES | {"up", "stop", "ps", "build"}, page
    if verb == "cp":
        service, _, path = rest[0].partition(":")
        folders = [volume.split(":")[1] for volume in SERVICES[service]["volumes"]]
        assert str(Path(path).parent) in folders
        assert Path(path).name in made_by_certs()
    elif verb == "kill":
        assert rest in (["-s", "HUP", "authz"], ["-s", "USR2", "authz"])
    elif verb == "exec":
        assert rest[:2] == ["authz", "authz"]
    elif verb == "restart":
        assert set(rest) <= set(SERVICES)


def made_by_certs() -> set[str]:
    """The files that the two services which make certificates leave behind."""
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder), ["localhost"], days=1)
        return {file.name for file in Path(folder).iterdir()}


def test_there_is_something_to_type() -> None:
    assert {words[0] for _, words in TYPED} >= ABOUT_SERVICES
