"""The gateway in front of a real llama-server, with a tap between the two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import CONFIG, Stack
from tests.llama.server import LlamaServer
from tests.llama.tap import Tap

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.llama)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """The model server."""
    with LlamaServer(tmp_path_factory.mktemp("llama")) as running:
        yield running


@pytest.fixture(scope="session")
def tap(llama: LlamaServer) -> Iterator[Tap]:
    """What went to the model server, and what came back."""
    with Tap(llama.port) as running:
        yield running


@pytest.fixture(scope="session")
def stack(
    llama: LlamaServer, tap: Tap, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """The gateway, which alone has the model server's key. Its scripted model is not used."""
    model = f'"{tap.url}", credential: {{{{file: "{llama.key_file}"}}}}'
    config = CONFIG.replace('"{model_url}"', model)
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running
        if request.session.testsfailed:
            print(running.logs())
