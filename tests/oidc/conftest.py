"""A gateway for the callers of a real OpenID provider. These tests run when `-m oidc` asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.issuers import config_with
from tests.e2e.stack import Stack
from tests.oidc.provider_process import AUDIENCE, OidcProvider

FOLDER = Path(__file__).parent
MARKER = "oidc: needs Node.js; tests/oidc/setup_provider.py installs the provider first"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if FOLDER in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.oidc)
    if "oidc" not in config.option.markexpr:
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """The provider, with one key."""
    with OidcProvider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that finds the provider's keys by discovery."""
    config = config_with([provider.issuer], f"audience: {AUDIENCE}, algorithms: [RS256]")
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running
