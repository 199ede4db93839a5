"""Both databases, real ones, and what to put into them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.store.drafts import Make
from tests.store.filled_copies import filled as filled
from tests.store.filled_copies import filled_postgres as filled_postgres
from tests.store.filled_copies import filled_sqlite as filled_sqlite
from tests.store.hurry import Hurry
from tests.store.places import Place
from tests.store.postgres_for_tests import PostgresForTests

from authz_service.store import batch, erasures, waits
from authz_service.store.migrate import migrate

Fresh = Callable[[], AbstractContextManager[str]]
"""Gives the URL of a database of its own, with our tables, for as long as the context lasts."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    """One PostgreSQL for all tests of this process, in a directory that is its alone."""
    server = PostgresForTests(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresForTests) -> Iterator[str]:
    """A database of the test's own, with our tables."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "authz.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "authz.db")
    return f"sqlite:///{tmp_path / 'authz.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest) -> Place:
    """The same test on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return Place(url)


@pytest.fixture(autouse=True)
def no_other_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be waited for at the end of an erasure, unless a test says so."""
    monkeypatch.setattr(erasures, "SETTLE_SECONDS", 0.0)


@pytest.fixture
def sealed(place: Place, tmp_path: Path) -> Place:
    """The same with payloads sealed under keys of their subjects, as the service has it."""
    place.keys = tmp_path / "keys"
    place.keys.mkdir(mode=0o700)
    return place


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    """Time as the writer sees it, which a test can pass over."""
    passing = Hurry()
    for module in (batch, waits):
        monkeypatch.setattr(module, "time", passing)
    return passing


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a test's coroutine on an event loop of its own, within 100 seconds."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(100):
                return await coroutine

        return asyncio.run(bounded())

    return run


@pytest.fixture
def fresh_sqlite(sqlite_template: Path) -> Fresh:
    @contextmanager
    def database() -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="authz-machine-") as folder:
            yield f"sqlite:///{shutil.copy(sqlite_template, Path(folder) / 'authz.db')}"

    return database


@pytest.fixture
def fresh_postgres(postgres: PostgresForTests) -> Fresh:
    @contextmanager
    def database() -> Iterator[str]:
        name = postgres.create()
        yield postgres.url(name)
        postgres.drop(name)

    return database
