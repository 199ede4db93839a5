"""Copies of a filled store, which is filled once for all tests of this process."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.store.drafts import Make
from tests.store.filled_record import fill
from tests.store.places import Place, TurnableClock
from tests.store.postgres_for_tests import PostgresForTests


@dataclass(frozen=True)
class Template:
    """A filled database to be copied, and what time it was when it had been filled."""

    name: str
    time: float


def _filled(url: str) -> float:
    place = Place(url)
    asyncio.run(fill(place, Make()))
    return place.clock.time


@pytest.fixture(scope="session")
def filled_sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Template:
    file = tmp_path_factory.mktemp("filled") / "authz.db"
    shutil.copy(sqlite_template, file)
    time = _filled(f"sqlite:///{file}")
    assert not file.with_name("authz.db-wal").exists()
    return Template(str(file), time)


@pytest.fixture(scope="session")
def filled_postgres(postgres: PostgresForTests) -> Template:
    name = postgres.create()
    return Template(name, _filled(postgres.url(name)))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A copy of the test's own."""
    template: Template = request.getfixturevalue(f"filled_{request.param}")
    clock = TurnableClock(template.time)
    if request.param == "sqlite":
        yield Place(f"sqlite:///{shutil.copy(template.name, tmp_path / 'authz.db')}", clock)
        return
    postgres: PostgresForTests = request.getfixturevalue("postgres")
    name = postgres.create(template=template.name)
    yield Place(postgres.url(name), clock)
    postgres.drop(name)
