"""What cannot be verified says why and what to do; what is damaged is named. Nothing is a traceback."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands.exported import alone
from tests.commands.record_commands import Stopped


@pytest.fixture
def stopped(tmp_path: Path) -> Stopped:
    return Stopped(tmp_path)


def without_keys(stopped: Stopped) -> None:
    stopped.data.subject_keys.unlink()


def with_another_master_key(stopped: Stopped) -> None:
    stopped.data.master_key.write_text(secrets.token_hex(32))


def with_a_newer_schema(stopped: Stopped) -> None:
    with sqlite3.connect(stopped.data.database) as connection:
        connection.execute("UPDATE authz_schema SET version_num = '9999'")
    connection.close()


def with_no_database(stopped: Stopped) -> None:
    stopped.data.database.write_bytes(b"no database" * 1000)


def with_a_database_that_was_cut(stopped: Stopped) -> None:
    os.truncate(stopped.data.database, 20_000)


UNVERIFIED: list[tuple[Callable[[Stopped], None], int, str]] = [
    (without_keys, 2, "restore the store of keys, or verify the rest with --no-payloads"),
    (with_another_master_key, 2, "is not the master key of this record's keys"),
    (with_a_newer_schema, 2, "use that version to read it"),
    (with_no_database, 6, "keep the file as evidence and restore a backup"),
    (with_a_database_that_was_cut, 6, "keep the file as evidence and restore a backup"),
]


@pytest.mark.parametrize(("damage", "code", "said"), UNVERIFIED, ids=lambda v: getattr(v, "__name__", ""))
def test_what_cannot_be_verified_says_why_in_a_line(
    stopped: Stopped, damage: Callable[[Stopped], None], code: int, said: str
) -> None:
    damage(stopped)
    result = stopped.run("audit", "verify")
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_keys_the_rest_is_verified(stopped: Stopped) -> None:
    without_keys(stopped)
    assert stopped.run("audit", "verify", "--no-payloads").exit_code == 0


def test_a_key_that_is_gone_without_a_tombstone_is_named_for_what_it_is(stopped: Stopped) -> None:
    with sqlite3.connect(stopped.data.subject_keys) as connection:
        connection.execute("DELETE FROM authz_subject_keys WHERE subject != ''")
    connection.close()
    result = stopped.run("audit", "verify")
    assert result.exit_code == 1
    what = "cannot be opened: its key is gone, and no entry tells that it was destroyed"
    assert f"payload body of entry 3: {what}" in result.stdout


@pytest.mark.parametrize("name", ["tile/entries/000.p/", "payloads/000"])
def test_a_file_of_an_export_that_is_cut_is_said_to_be(stopped: Stopped, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    assert stopped.run("audit", "export", str(out)).exit_code == 0
    path = next((out / name).iterdir()) if name.endswith("/") else out / name
    os.truncate(path, path.stat().st_size - 3)
    result = stopped.run("audit", "verify", str(out))
    assert result.exit_code == 1
    assert "(it is cut)" in result.stdout


@pytest.mark.parametrize("name", ["manifest.json", "tombstones.jsonl"])
def test_a_file_of_an_export_that_is_nested_too_deeply_cannot_be_verified(out: Path, name: str) -> None:
    (out / name).write_text("[" * 200_000)
    done = alone(out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("cannot verify: ")


def test_a_checkpoint_of_an_export_that_is_nested_too_deeply_is_named(out: Path) -> None:
    (out / "checkpoints.jsonl").write_text('{"a":' * 200_000)
    done = alone(out)
    assert (done.returncode, "checkpoints.jsonl line 1" in done.stdout) == (1, True)


def test_a_manifest_that_names_no_entries_does_not_fit(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "first": manifest["last"] + 1}))
    done = alone(out)
    assert (done.returncode, "names no entries" in done.stderr) == (2, True)
