"""The gateway in front of a scripted model, for frameworks that are installed in build/frameworks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import Stack

FOLDER = Path(__file__).parent

# What the frameworks leave open, and what they use of each other that is deprecated, is theirs.
THEIRS = ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning", "DeprecationWarning", "UserWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.frameworks)
            for category in THEIRS:
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One gateway for all of them."""
    with Stack(tmp_path_factory.mktemp("gateway")) as running:
        yield running
        if request.session.testsfailed:
            print(running.logs())
