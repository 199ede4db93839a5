"""A running gateway's record is sealed; a person who asked is erased from it, and it verifies as before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.people import approve, ask, asking, hold_of
from tests.e2e.stack import CONFIG, Stack

SECRET = "what only the model may read"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("forgets"), config=CONFIG) as running:
        ask(running.sdk("amy", "staff"), f"amy: {SECRET}")
        ask(running.sdk("ben", "staff"), f"ben: {SECRET}")
        waiting = asking(running, "cal", f"cal: {SECRET}")
        approve(running, hold_of(running, "cal"))
        waiting.result(60)
        yield running


def record(stack: Stack, *arguments: str) -> str:
    return stack.cli("record", *arguments, "--config", str(stack.config_file)).stdout


def bodies(stack: Stack, subject: str) -> list[str]:
    (listed,) = [
        s for s in stack.cli_json("session", "list") if (s["caller"] or {}).get("subject") == subject
    ]
    return [str(stack.session(listed["id"]))]


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_nothing_in_the_data_directory_shows_what_was_asked(stack: Stack) -> None:
    assert any(SECRET in body for body in bodies(stack, "amy"))
    assert SECRET.encode() not in files(stack.data)


def test_texts_are_not_indexed_unless_that_is_switched_on(stack: Stack) -> None:
    """The index has them in clear, where the record has them sealed."""
    refused = stack.cli("session", "list", "--text", "model", check=4)
    assert "record.search_texts is off" in refused.stderr
    stack.cli("session", "list", "--group", "staff")  # brings the index up to date
    with closing(sqlite3.connect(f"file:{stack.data / 'authz.db'}?mode=ro", uri=True)) as database:
        assert database.execute("SELECT count(*) FROM search_sources").fetchone()[0] > 0
        assert database.execute("SELECT count(*) FROM search_texts").fetchone()[0] == 0
        assert database.execute("SELECT count(*) FROM payloads WHERE key IS NULL").fetchone()[0] == 0


def test_a_person_is_erased_while_the_service_is_stopped_and_the_others_stay(stack: Stack) -> None:
    amy = stack.cli_json("session", "list", "--caller", "amy")[0]["id"]
    refused = stack.cli("record", "keep", "--list", "--config", str(stack.config_file), check=None)
    assert refused.returncode != 0
    assert "in use by another process" in refused.stderr
    stack.stop()
    for subject in ("amy", "cal"):
        told = record(stack, "erase", "--subject", subject, "--reason", "asked for it", "--yes", "--json")
        assert json.loads(told)["sessions"] == 1
    stack.start()
    shown = stack.session(amy)
    assert SECRET not in str(shown)
    (caller, *_) = shown["events"][0]["missing"]
    assert caller["name"] == "caller"
    assert caller["why"].startswith("erased on ")
    assert stack.cli_json("session", "list", "--caller", "amy") == []
    assert any(SECRET in body for body in bodies(stack, "ben"))
    verified = stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
    assert json.loads(verified)["ok"], verified
    ask(stack.sdk("amy", "staff"), f"again: {SECRET}")
    assert any(SECRET in body for body in bodies(stack, "amy"))
