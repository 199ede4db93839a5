"""The bench of exports says what is in memory while a filled store is exported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench.sessions import exporting
from bench.sessions.filling import fill
from bench.stores import store
from click.testing import CliRunner


def test_memory_is_told_on_the_way_and_at_the_end_all_were_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def filled() -> None:
        async with store(f"sqlite:///{tmp_path / 'authz.db'}", tmp_path) as opened:
            await fill(opened, 30, has_texts=False)

    asyncio.run(filled())
    monkeypatch.setattr(exporting, "MARKS", (20,))
    words = ["--folder", str(tmp_path), "--format", "ocsf"]
    done = CliRunner().invoke(exporting.main, words, catch_exceptions=False)
    first, last = done.stdout.splitlines()
    assert first.startswith("ocsf          20 sessions")
    assert last.startswith("ocsf          30 lines, whole")
