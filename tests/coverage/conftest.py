"""Collects which cells held, and writes them to the page when asked with --coverage-page."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tests.coverage.cells import cells, entity_types
from tests.coverage.page import PAGE, page

Held = dict[str, Collection[str]]
HELD = pytest.StashKey[Held]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-page", action="store_true", help="write docs/coverage.md; without -n")


def pytest_configure(config: pytest.Config) -> None:
    nothing: Held = {}
    config.stash[HELD] = nothing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--coverage-page", default=False):  # the page is written when all else is over
        items[:] = [item for item in items if "the_page_lists" not in item.name]


@pytest.fixture
def held(request: pytest.FixtureRequest) -> Held:
    """For each cell, by its name, the entity types that did not cross."""
    found: Held = request.config.stash[HELD]
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--coverage-page", default=False):
        found = session.config.stash[HELD]
        PAGE.write_text(page(cells(), entity_types(), found))
