"""`authz store migrate`: a PostgreSQL is refused until it was run, and ready afterwards."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from authz_cli.main import cli
from authz_service.config.starter import starter_text
from authz_service.errors import Misconfigured
from authz_service.store.migrate import VERSIONS_TABLE
from authz_service.store.open import open_store


def _migrate(url: str, folder: Path) -> Result:
    config = folder / "authz.yaml"
    starter = starter_text(model_url="http://127.0.0.1:9")
    config.write_text(starter.replace("sqlite:///authz.db", url))
    arguments = ["store", "migrate", "--config", str(config), "--data-dir", str(folder / "data"), "--json"]
    return CliRunner().invoke(cli, arguments)


async def _open(url: str) -> None:
    store = await open_store(url, instance="test", pseudonym=str)
    await store.close()


@pytest.mark.postgres
def test_a_postgresql_opens_once_it_was_migrated(postgres: Any, tmp_path: Path) -> None:
    postgres_url = postgres.url(postgres.create(template="template0"))
    with pytest.raises(Misconfigured, match="authz store migrate"):
        asyncio.run(_open(postgres_url))
    for before in ("absent", "current"):
        result = _migrate(postgres_url, tmp_path)
        assert (result.exit_code, json.loads(result.stdout)) == (0, {"before": before, "now": "current"})
    asyncio.run(_open(postgres_url))


@pytest.mark.postgres
def test_a_newer_schema_is_left_alone(postgres_url: str, tmp_path: Path) -> None:
    assert _migrate(postgres_url, tmp_path).exit_code == 0
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSIONS_TABLE} SET version_num = '9999'"))
    engine.dispose()
    result = _migrate(postgres_url, tmp_path)
    assert result.exit_code == 2
    assert "newer version" in result.stderr


def test_an_embedded_database_is_migrated_too(tmp_path: Path) -> None:
    result = _migrate("sqlite:///authz.db", tmp_path)
    assert (result.exit_code, json.loads(result.stdout)["before"]) == (0, "absent")
    assert (tmp_path / "data" / "authz.db").exists()
