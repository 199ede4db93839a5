"""Envoy and the service over TCP: each takes only who shows a certificate of their own authority."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.people import until
from tests.e2e.stack import CHAT, CONFIG, Stack, free_port
from tests.soak.apart import Apart

from authz_service.keys.certificates import make_certificates

SERVICE = """\
service:
  addresses: ["127.0.0.1:{port}"]
  authority: {folder}/authority.crt
  cert: {folder}/service.crt
  key: {folder}/service.key
  envoy_cert: {envoy}/envoy.crt
  envoy_key: {envoy}/envoy.key
"""


def gateway(folder: Path, *, port: int, certificates: Path, envoy: Path) -> Apart:
    section = SERVICE.format(port=port, folder=certificates, envoy=envoy)
    return Apart(folder, config=CONFIG + section.replace("{", "{{").replace("}", "}}"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("link")
    make_certificates(folder, ["127.0.0.1"], days=2)
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, certificates: Path, port: int) -> Iterator[Stack]:
    """The gateway, with no Unix socket between its halves."""
    folder = tmp_path_factory.mktemp("apart")
    with gateway(folder, port=port, certificates=certificates, envoy=certificates) as running:
        yield running


def test_a_request_goes_through_over_mutual_tls(stack: Stack) -> None:
    answer = stack.post(CHAT, "staff")
    assert answer.status_code == 200
    assert "x-authz-session" in answer.headers
    assert not (stack.data / "run" / "service.sock").exists()


def test_who_shows_no_certificate_is_not_listened_to(stack: Stack, port: int, certificates: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificates / "authority.crt"))
    context.set_alpn_protocols(["h2"])
    with pytest.raises(httpx.TransportError), httpx.Client(verify=context) as client:
        client.get(f"https://127.0.0.1:{port}/")


def test_an_envoy_with_a_certificate_of_another_authority_gets_nowhere(
    tmp_path: Path, certificates: Path
) -> None:
    stranger = tmp_path / "stranger"
    make_certificates(stranger, ["127.0.0.1"], days=2)
    apart = gateway(tmp_path, port=free_port(), certificates=certificates, envoy=stranger)
    with apart.upstream:
        apart.write_config()
        apart.start_service()
        apart.cli("envoy", "render", "--config", str(apart.config_file), "-o", str(apart.rendered))
        apart.start_envoy()
        try:
            answer = until(lambda: asked(apart), "Envoy listens")
        finally:
            apart.stop()
        assert answer is not None
        assert (answer.status_code, apart.upstream.requests) == (503, [])


def test_new_certificates_of_both_sides_take_no_restart(tmp_path: Path) -> None:
    served, second, port = tmp_path / "served", tmp_path / "second", free_port()
    for folder in (served, second):
        make_certificates(folder, ["127.0.0.1"], days=2)
    first = tmp_path / "first"
    shutil.copytree(served, first)
    both = (first / "authority.crt").read_text() + (second / "authority.crt").read_text()
    (served / "authority.crt").write_text(both)
    with gateway(tmp_path, port=port, certificates=served, envoy=served) as apart:
        assert apart.post(CHAT, "staff").status_code == 200
        assert shown(port, first) == (first / "service.crt").read_text()
        for name in ("service.crt", "service.key", "envoy.crt", "envoy.key"):
            shutil.copy(second / name, served / f".{name}")
            (served / f".{name}").replace(served / name)
        assert shown(port, first) == (second / "service.crt").read_text()
        shutil.copy(second / "authority.crt", served / "authority.crt")
        with pytest.raises(ssl.SSLError):
            shown(port, first)
        assert shown(port, second) == (second / "service.crt").read_text()
        # Envoy connects anew, with what it shows by now: nobody else's is taken.
        apart.kill_service()
        apart.start_service()
        until(lambda: apart.post(CHAT, "staff").status_code == 200, "Envoy shows its new certificate")


def shown(port: int, client: Path) -> str:
    """The service's certificate, as whoever shows that of `client` sees it."""
    context = ssl.create_default_context(cafile=str(client / "authority.crt"))
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where a refusal ends the handshake itself
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(client / "envoy.crt", client / "envoy.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
        assert found is not None
        return ssl.DER_cert_to_PEM_cert(found)


def asked(apart: Apart) -> httpx.Response | None:
    try:
        return httpx.post(f"{apart.url}/v1/chat/completions", json=CHAT, timeout=60)
    except httpx.TransportError:
        return None
