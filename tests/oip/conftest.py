"""The gateway in front of a real MLServer, with a tap between the two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import CONFIG, Stack
from tests.llama.tap import Tap
from tests.oip.server import MlServer

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.oip)


@pytest.fixture(scope="session")
def tap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tap]:
    """What went to the model server, and what came back."""
    with MlServer(tmp_path_factory.mktemp("mlserver")) as server, Tap(server.port) as running:
        yield running


@pytest.fixture(scope="session")
def stack(
    tap: Tap, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """The gateway. Its scripted model is not used."""
    config = CONFIG.replace('"{model_url}"', f'"{tap.url}"')
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running
        if request.session.testsfailed:
            print(running.logs())
