"""Envoy and the service over TCP: each takes only who shows a certificate of their own authority."""

from __future__ import annotations

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


def asked(apart: Apart) -> httpx.Response | None:
    try:
        return httpx.post(f"{apart.url}/v1/chat/completions", json=CHAT)
    except httpx.TransportError:
        return None
