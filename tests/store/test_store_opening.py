"""A store opens only where what it promises can be kept."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from authz_service.audit.merkle import EMPTY_ROOT
from authz_service.errors import Misconfigured, Unavailable
from authz_service.store.connecting import open_database
from authz_service.store.migrate import MIGRATIONS, SchemaState, migrate, schema_state
from authz_service.store.open import open_store
from authz_service.store.schema import REVISIONS, metadata
from authz_service.store.search_schema import PREFIX


def change(place: Any, statement: str) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def is_of_the_record(name: str | None, kind: str, parents: Any) -> bool:
    if kind == "index" and name in ("sessions_prefix", "holds_prefix"):
        return False  # PostgreSQL alone has them, and `test_plans_of_prefixes` finds them used
    return kind != "table" or not str(name).startswith(PREFIX)


def test_the_migrations_make_the_tables_that_the_program_uses(place: Any) -> None:
    database = open_database(place.url)
    with database.writing.connect() as connection:
        # The search index has tables of its own kind, which its tests use.
        options = {"version_table": "authz_schema", "include_name": is_of_the_record}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        root = connection.execute(text("SELECT root FROM head")).scalar_one()
        assert bytes(root) == EMPTY_ROOT
    database.close()


def test_the_program_knows_every_revision_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == REVISIONS


def test_a_sqlite_file_is_made_and_migrated_when_it_is_opened(tmp_path: Path, run: Any) -> None:
    async def scenario() -> None:
        url = f"sqlite:///{tmp_path / 'new 100%.db'}"
        store = await open_store(url, instance="one", pseudonym=str)
        await store.close()
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert modes == {"new 100%.db": 0o600, "new 100%.db.lock": 0o600}
        assert schema_state(url) is SchemaState.CURRENT

    run(scenario())


def test_the_files_of_a_running_store_are_closed_to_others(sqlite_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        path = Path(sqlite_url.removeprefix("sqlite:///"))
        path.chmod(0o644)
        store = await open_store(sqlite_url, instance="one", pseudonym=str)
        await store.append(make.received("s1"))
        names = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
        assert set(names) == {"authz.db", "authz.db-wal", "authz.db-shm", "authz.db.lock"}
        assert set(names.values()) == {0o600}
        await store.close()

    run(scenario())


@pytest.mark.postgres
def test_an_empty_postgresql_is_refused_with_the_command_to_run(postgres: Any, run: Any) -> None:
    async def scenario() -> None:
        url = postgres.url(postgres.create(template="template0"))
        assert schema_state(url) is SchemaState.ABSENT
        with pytest.raises(Misconfigured, match="authz store migrate"):
            await open_store(url, instance="one", pseudonym=str)
        assert migrate(url) is SchemaState.ABSENT
        assert migrate(url) is SchemaState.CURRENT
        store = await open_store(url, instance="one", pseudonym=str)
        await store.close()

    run(scenario())


def test_a_newer_schema_is_refused_and_left_alone(place: Any, run: Any) -> None:
    change(place, "UPDATE authz_schema SET version_num = '9999'")
    assert schema_state(place.url) is SchemaState.NEWER
    assert migrate(place.url) is SchemaState.NEWER
    with pytest.raises(Misconfigured, match="newer version"):
        run(place.open())


def test_an_older_schema_is_told_from_a_newer_one(
    place: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.store.migrate.REVISIONS", (*REVISIONS, "9999"))
    assert schema_state(place.url) is SchemaState.OLDER
    with pytest.raises(Misconfigured, match="older version"):
        run(place.open(migrate=False))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM entries WHERE seq = 3",
        "UPDATE head SET size = 4",
        "UPDATE head SET size = 2, frontier = substr(frontier, 1, 32)",
        "UPDATE head SET frontier = substr(frontier, 1, 32)",
        "INSERT INTO entries (seq, body) SELECT 4, body FROM entries WHERE seq = 1",
        "UPDATE head SET root = (SELECT substr(frontier, 1, 32) FROM head)",
    ],
)
def test_a_head_that_tells_of_other_entries_than_there_are_stops_the_start(
    place: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.ended("s1"))
        change(place, damage)
        with pytest.raises(Misconfigured, match="the record is damaged"):
            await place.open()

    run(scenario())


def test_a_second_process_is_refused_while_a_sqlite_file_is_open(sqlite_url: str, run: Any) -> None:
    async def scenario() -> None:
        store = await open_store(sqlite_url, instance="one", pseudonym=str)
        with pytest.raises(Misconfigured, match="in use by another process"):
            await open_store(sqlite_url, instance="two", pseudonym=str)
        code = "import sys; from authz_service.store.migrate import migrate; migrate(sys.argv[1])"
        second = subprocess.run([sys.executable, "-c", code, sqlite_url], capture_output=True, text=True)
        assert "in use by another process" in second.stderr
        await store.close()
        again = await open_store(sqlite_url, instance="two", pseudonym=str)
        await again.close()

    run(scenario())


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///authz.db?mode=ro",
        "mysql://user:secret-word@host/db",
        "no url: secret-word",
        "sqlite:////nowhere/at/all/authz.db",
        "sqlite:////proc/version",
    ],
)
def test_a_url_that_is_no_durable_store_is_refused_without_its_password(url: str, run: Any) -> None:
    with pytest.raises(Misconfigured) as error:
        run(open_store(url, instance="one", pseudonym=str))
    assert "secret-word" not in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, run: Any) -> None:
    (tmp_path / "authz.db").write_bytes(json.dumps(["not a database"] * 1000).encode())
    with pytest.raises(Unavailable):
        run(open_store(f"sqlite:///{tmp_path / 'authz.db'}", instance="one", pseudonym=str))


def test_a_sqlite_that_is_too_old_is_refused(
    sqlite_url: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 32, 3))
    with pytest.raises(Misconfigured, match=r"3\.33\.0"):
        run(open_store(sqlite_url, instance="one", pseudonym=str))


@pytest.mark.parametrize("statement", ["PRAGMA synchronous = NORMAL", "PRAGMA journal_mode = DELETE"])
def test_a_sqlite_connection_that_is_not_durable_is_refused(sqlite_url: str, statement: str) -> None:
    database = open_database(sqlite_url)
    with database.writing.connect() as connection:
        database.check_durability(connection)
        connection.exec_driver_sql(statement)
        with pytest.raises(Misconfigured, match="not durable"):
            database.check_durability(connection)
    database.close()


@pytest.mark.postgres
def test_a_postgresql_that_may_lose_commits_is_refused(postgres_url: str, run: Any) -> None:
    name = postgres_url.split("/")[3].split("?")[0]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    with pytest.raises(Misconfigured, match="synchronous_commit = off"):
        run(open_store(postgres_url, instance="one", pseudonym=str))


@pytest.mark.postgres
def test_a_postgresql_that_is_not_there_is_unavailable(tmp_path: Path, run: Any) -> None:
    with pytest.raises(Unavailable) as error:
        run(open_store(f"postgresql://me:secret-word@/db?host={tmp_path}", instance="one", pseudonym=str))
    assert "secret-word" not in str(error.value)


@pytest.mark.postgres
def test_without_a_clock_of_its_own_a_store_uses_the_databases(postgres_url: str, run: Any) -> None:
    async def scenario() -> None:
        store = await open_store(postgres_url, instance="one", pseudonym=str)
        with psycopg.connect(postgres_url) as connection:
            row = connection.execute(
                "SELECT extract(epoch from now()), set_config('x.y', '', true)"
            ).fetchone()
        now = await store.now()
        assert row is not None
        assert float(row[0]) <= now <= float(row[0]) + 30
        await store.close()

    run(scenario())


@pytest.mark.postgres
def test_a_store_is_opened_beside_one_that_writes_with_all_that_was_under_way(
    postgres_url: str, make: Any, run: Any
) -> None:
    place = make.place(postgres_url)

    def is_waited_for() -> bool:
        with psycopg.connect(postgres_url) as connection:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            row = connection.execute(waiting).fetchone()
        return row is not None and row[0] > 0

    async def scenario() -> None:
        async with place.store() as writing:
            entered, may_go_on = threading.Event(), threading.Event()

            def commits_slowly(transaction: Any) -> None:
                transaction.record(make.received("s1"))
                transaction.read(text("SELECT 1"))  # what was recorded is in the database, uncommitted
                entered.set()
                may_go_on.wait(60)

            slow = asyncio.create_task(writing._writer.run(commits_slowly))
            await asyncio.to_thread(entered.wait, 60)
            opening = asyncio.create_task(place.open())
            while not (opening.done() or await asyncio.to_thread(is_waited_for)):
                await asyncio.sleep(0.01)
            may_go_on.set()
            await slow
            opened = await opening
            assert await opened.recover() == 1
            await opened.close()

    run(scenario())
