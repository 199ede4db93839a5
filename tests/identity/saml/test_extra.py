"""Without the packages of the extra a configuration that needs them is refused, with what to do."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.identity.saml_idp import metadata

from authz_service.app import ServeSettings, running
from authz_service.cel.load import load_config
from authz_service.commands.doctor_saml import check_saml
from authz_service.errors import Misconfigured
from authz_service.identity.saml.extra import PACKAGES, require_saml
from authz_service.keys.data_dir import DataDir

FILE = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
"""
SAML = """\
identity:
  saml: [{name: corp, entity_id: "https://idp.example.com/saml", metadata: corp.xml, audience: llm-gateway}]
login: {url: "https://login.example.com", listen: {address: "127.0.0.1:8444"}}
"""


@pytest.fixture(params=PACKAGES)
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is not installed."""
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == request.param else find(name, *more)
    )


@pytest.mark.usefixtures("without")
def test_the_service_does_not_start_and_the_doctor_says_why(tmp_path: Path) -> None:
    path = tmp_path / "authz.yaml"
    path.write_text(FILE + SAML)
    (tmp_path / "corp.xml").write_bytes(metadata())

    async def start() -> None:
        data = DataDir.open(tmp_path / "data")
        async with running(ServeSettings(path, data, f"unix:{data.review_socket}")):
            raise AssertionError("it runs")

    with pytest.raises(Misconfigured, match=r"pip install 'authz-service\[saml\]'"):
        asyncio.run(start())
    assert not (tmp_path / "data" / "authz.db").exists()
    (finding,) = check_saml(load_config(path).config)
    assert (str(finding.status), "pip install" in finding.next_step) == ("fail", True)


@pytest.mark.usefixtures("without")
def test_whoever_has_no_saml_needs_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "authz.yaml"
    path.write_text(FILE)
    require_saml(load_config(path).config)
