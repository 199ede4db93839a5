"""Settings come from the configuration, and credentials reach Envoy without being shown."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from authz_service.config.gateway_values import Credential, Listen, Model
from authz_service.config.identity_values import Identity
from authz_service.config.model import Config, Holds, Limits, Review
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.credentials import write_credentials
from authz_service.proxy.settings import credential_path, envoy_settings, is_loopback


def make_config(*models: Model, wait: float = 180.0) -> Config:
    return Config(
        listen=Listen(),
        models=models,
        identity=Identity(),
        review=Review(),
        masks=(),
        detectors=(),
        paths=(),
        holds=Holds(wait=wait),
        approvals=(),
        limits=Limits(),
        store_url="sqlite:///authz.db",
    )


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path / "data")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "model.key"
    path.write_text("sk-model-key\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "base", "authority"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, False, "", "127.0.0.1:8000"),
        ("http://llm", "llm", 80, False, "", "llm"),
        ("https://llm.example.com/v2/", "llm.example.com", 443, True, "/v2", "llm.example.com"),
        ("http://[::1]:9/", "::1", 9, False, "", "[::1]:9"),
    ],
)
def test_a_models_url_says_where_its_server_is(
    data: DataDir, url: str, host: str, port: int, tls: bool, base: str, authority: str
) -> None:
    (target,) = envoy_settings(make_config(Model("m", url)), data).models
    assert (target.host, target.port, target.tls, target.base) == (host, port, tls, base)
    assert target.authority == authority


def test_routes_stay_open_longer_than_the_longest_wait(data: DataDir) -> None:
    model = Model("m", "http://127.0.0.1:1")
    assert envoy_settings(make_config(model), data).idle_timeout == 4200.0
    assert envoy_settings(make_config(model, wait=7200.0), data).idle_timeout == 7800.0


def test_a_credential_is_written_without_the_newline_and_for_this_user_only(data: DataDir, key: Path) -> None:
    config = make_config(Model("org/m", "http://127.0.0.1:1", credential=Credential(key)))
    write_credentials(config, data)
    path = credential_path("org/m", data)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.parent == data.root / "credentials"
    (resource,) = json.loads(path.read_text())["resources"]
    assert resource["generic_secret"]["secret"] == {"inline_string": "sk-model-key"}
    assert resource["name"] == "credential/org/m"


@pytest.mark.parametrize("content", ["", "\n", "two words", "a\nb", "é", "a\x00b", "x" * 20_000])
def test_a_file_that_holds_no_header_value_is_refused_without_its_content(
    data: DataDir, key: Path, content: str
) -> None:
    key.write_text(content)
    config = make_config(Model("m", "http://127.0.0.1:1", credential=Credential(key)))
    with pytest.raises(Misconfigured) as raised:
        write_credentials(config, data)
    assert not content.strip() or content.strip() not in str(raised.value)


def test_a_credential_that_others_may_read_is_refused(data: DataDir, key: Path) -> None:
    key.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        write_credentials(make_config(Model("m", "http://h", credential=Credential(key))), data)


def test_a_credential_that_is_missing_is_named(data: DataDir, tmp_path: Path) -> None:
    config = make_config(Model("m", "http://h", credential=Credential(tmp_path / "none.key")))
    with pytest.raises(Misconfigured, match=r"none\.key"):
        write_credentials(config, data)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("::", False),
        ("example.com", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
