"""Exports as they are made: ranges, folders, full disks, and what is not exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.commands.exported import COUNT, record, run, signed

from authz_service.audit.checkpoint import parse_note, verified
from authz_service.commands.audit_export import Wanted, export
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_service.store.record_reader import reading
from authz_verifier import verification


def test_the_files_are_closed_to_others(out: Path) -> None:
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o600}


def test_a_range_goes_out_with_the_hashes_of_all(made: tuple[Path, LogKey], tmp_path: Path) -> None:
    out = tmp_path / "part"
    assert run(made[0], "export", str(out), "--from", "300", "--to", "310", "--no-payloads").exit_code == 0
    assert [p.name for p in (out / "tile/entries").iterdir()] == ["001"]
    report = verification.verify(out, [str(made[1].vkey)])
    assert (report.count, report.entries, report.payloads) == (0, 256, 0)
    assert "entries 300 to 310 of 601" in report.notes[0]
    assert not (out / "payloads").exists()


@pytest.mark.parametrize("range", [["--from", "602"], ["--to", "2001-01-01"], ["--from", "tomorrow"]])
def test_a_range_without_entries_is_refused(
    made: tuple[Path, LogKey], tmp_path: Path, range: list[str]
) -> None:
    result = run(made[0], "export", str(tmp_path / "part"), *range)
    assert result.exit_code == 2


def test_a_folder_that_is_not_empty_is_left_alone(made: tuple[Path, LogKey], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = run(made[0], "export", str(tmp_path))
    assert result.exit_code == 2
    assert "not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_disk_that_is_full_leaves_an_export_that_nobody_takes_for_whole(
    made: tuple[Path, LogKey], tmp_path: Path
) -> None:
    import resource
    import signal

    shutil.copytree(made[0] / "data", tmp_path / "data")
    (tmp_path / "data").chmod(0o700)

    # A file may not grow beyond this many bytes: the system's own refusal, in the middle of a bundle.
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        result = run(tmp_path, "export", str(tmp_path / "out"), "--no-payloads")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert result.exit_code == 1
    assert "is not whole" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_entries_that_are_missing_are_not_exported_over(tmp_path: Path) -> None:
    import sqlite3

    record(tmp_path, 10)
    with sqlite3.connect(tmp_path / "data" / "authz.db") as connection:
        connection.execute("DELETE FROM entries WHERE seq = 4")
    connection.close()
    result = run(tmp_path, "export", str(tmp_path / "out"))
    assert (result.exit_code, "entries are missing" in result.stderr) == (2, True)


def test_checkpoints_that_are_ahead_of_the_view_stay_out_of_the_export(
    made: tuple[Path, LogKey], tmp_path: Path
) -> None:
    def as_line(size: int) -> str:
        return json.dumps({"checkpoint": signed(made[1], size, bytes(32))}) + "\n"

    kept = tmp_path / "checkpoints.jsonl"
    kept.write_text(as_line(COUNT + 1))
    before = kept.stat().st_size
    with kept.open("a") as file:
        file.write(as_line(COUNT + 2))
    for count, sizes in ((0, []), (before, [COUNT + 1])):
        out = tmp_path / str(count)
        with reading(f"sqlite:///{made[0] / 'data' / 'authz.db'}") as reader:
            wanted = Wanted(
                [str(made[1].vkey)],
                1,
                COUNT,
                payloads=False,
                checkpoints=kept,
                checkpoints_bytes=count,
            )
            export(reader, out, wanted, lambda done, size: None)
        path = out / "checkpoints.jsonl"
        copied = path.read_text().splitlines() if path.exists() else []
        assert [int(json.loads(line)["checkpoint"].split("\n")[1]) for line in copied] == sizes


@pytest.mark.parametrize("name", ["with space", "100% #1", "\u00e9"])
def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    record(folder, 10)
    assert run(folder, "verify").exit_code == 0


def test_the_key_and_a_checkpoint_are_shown(made: tuple[Path, LogKey]) -> None:
    assert run(made[0], "key").stdout.strip() == str(made[1].vkey)
    text = run(made[0], "checkpoint").stdout
    assert verified(parse_note(text), [made[1].vkey], is_ed25519_signature).size == COUNT
    shown = json.loads(run(made[0], "checkpoint", "--json").stdout)
    assert (shown["size"], shown["checkpoint"]) == (COUNT, text)


def test_the_live_record_is_verified(made: tuple[Path, LogKey], tmp_path: Path) -> None:
    result = run(made[0], "verify", "--live", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (0, True)
    other = str(LogKey.create("example.com/log").vkey)
    result = run(made[0], "verify", "--key", other)
    assert (result.exit_code, "WRONG  head" in result.stdout) == (1, True)
    kept = tmp_path / "kept"
    kept.write_text(signed(made[1], COUNT + 5, bytes(32)))
    result = run(made[0], "verify", "--checkpoint", str(kept))
    assert (result.exit_code, "its end is missing" in result.stdout) == (1, True)
    assert run(made[0], "verify", "--live", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("verb", ["key", "checkpoint", "verify"])
def test_without_a_record_the_next_step_is_named(tmp_path: Path, verb: str) -> None:
    result = run(tmp_path, verb)
    assert result.exit_code == 2
    assert "--config" in result.stderr
