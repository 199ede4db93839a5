"""A gateway with one model, and settings to render Envoy's file with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proxy.fake_model import FakeModel
from tests.proxy.gateway_fakes import Gateway, Loop, running_envoy, secret_text
from tests.proxy.scripted_service import Stub

from authz_service.proxy.files import write_private
from authz_service.proxy.probes import free_port
from authz_service.proxy.render import render
from authz_service.proxy.settings import EnvoySettings, Injected, ModelTarget, system_authorities
from authz_service.proxy.template import template_text


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """One loop for all servers of a test run."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def gateway(one_gateway: Gateway) -> Gateway:
    """The gateway, as if nobody had used it before."""
    one_gateway.clear()
    return one_gateway


@pytest.fixture(scope="session")
def one_gateway(loop: Loop) -> Iterator[Gateway]:
    """Envoy by our own file, with one model named m whose credential is `Bearer model-key`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stub, model, port = Stub(folder / "service.sock"), FakeModel(), free_port()
        loop.run(stub.start())
        loop.run(model.start())
        credential = folder / "credential.yaml"
        write_private(credential, secret_text("model-key"))
        settings = EnvoySettings(
            host="127.0.0.1",
            port=port,
            service_sockets=(stub.path,),
            admin_socket=folder / "admin.sock",
            access_log=str(folder / "access.log"),
            models=(
                ModelTarget(
                    "m",
                    "127.0.0.1",
                    model.port,
                    credential=Injected("authorization", "Bearer ", credential),
                ),
                ModelTarget("other", "127.0.0.1", model.port, base="/base"),
            ),
        )
        file = folder / "envoy.yaml"
        file.write_text(render(template_text(), settings))
        with running_envoy(file, port, folder / "envoy.log"):
            yield Gateway(port, stub, model, folder)
        loop.run(stub.stop())
        loop.run(model.stop())


@pytest.fixture
def settings(tmp_path: Path) -> EnvoySettings:
    """Two models: one with a credential, over http, and one by name over https."""
    credential = tmp_path / "credential.yaml"
    credential.write_text("resources: []\n")
    return EnvoySettings(
        host="127.0.0.1",
        port=10000,
        service_sockets=(tmp_path / "service.sock",),
        admin_socket=tmp_path / "admin.sock",
        models=(
            ModelTarget(
                "llama", "127.0.0.1", 8000, credential=Injected("authorization", "Bearer ", credential)
            ),
            ModelTarget("org/big model", "models.example.com", 443, tls=True, base="/llm"),
        ),
        authorities=system_authorities(),
    )
