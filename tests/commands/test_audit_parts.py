"""A part of an honest record verifies, whatever came before its range or comes behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.commands.audit_place import Place

from authz_verifier import verification


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def part(place: Place, out: Path, *range: str) -> Path:
    done = place.run("export", str(out), *range)
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize("which", ["old", "new", "its own"])
def test_a_part_from_after_a_new_key_verifies(place: Place, tmp_path: Path, which: str) -> None:
    place.serve(3)
    old = place.run("key").stdout.strip()
    assert place.run("rotate-key", "--reason", "as every year").exit_code == 0
    place.serve(300)
    keys = {"old": [old], "new": [place.run("key").stdout.strip()], "its own": []}[which]
    for number, range in enumerate((["--from", "257"], ["--to", "1"], [])):
        out = part(place, tmp_path / str(number), *range)
        assert verification.verify(out, keys).wrong == []


def test_a_part_from_before_a_new_key_verifies(place: Place, tmp_path: Path) -> None:
    place.serve(300)
    old = place.run("key").stdout.strip()
    assert place.run("rotate-key", "--reason", "as every year").exit_code == 0
    place.serve(3)
    out = part(place, tmp_path / "part", "--to", "256")
    for keys in ([old], []):
        assert verification.verify(out, keys).wrong == []
    lines = (out / "tombstones.jsonl").read_text()
    (out / "tombstones.jsonl").write_text(
        lines.replace('"kind":"log.key_rotated"', '"kind":"log.key_created"')
    )
    assert verification.verify(out, [old]).wrong


@pytest.mark.parametrize("payloads", [[], ["--no-payloads"]])
@pytest.mark.parametrize("range", [["--from", "257"], ["--to", "256"], []])
def test_a_part_beside_a_restored_backup_that_was_accepted_verifies(
    place: Place, tmp_path: Path, range: list[str], payloads: list[str]
) -> None:
    place.serve(3)
    shutil.copy(place.data.database, tmp_path / "backup")
    place.serve(5)
    shutil.copy(tmp_path / "backup", place.data.database)
    assert place.run("accept", "--reason", "disk").exit_code == 0
    place.serve(300)
    report = verification.verify(part(place, tmp_path / "part", *range, *payloads))
    assert report.wrong == []
    assert any("was given up; an entry says why" in note for note in report.notes)
