"""A gateway for the callers of a real OpenID provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.issuers import config_with
from tests.e2e.stack import Stack
from tests.oidc.provider_process import AUDIENCE, OidcProvider

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.oidc)


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
