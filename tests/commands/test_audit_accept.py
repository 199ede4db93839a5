"""A record that is not the one that was signed is accepted with a reason, on record, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.commands.audit_place import Place

from authz_service.audit.draft import Kind
from authz_service.commands.audit_export import Wanted, export
from authz_service.commands.audit_source import Source
from authz_service.errors import Misconfigured
from authz_verifier import verification


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_first_start_makes_a_key_and_an_entry_says_so(place: Place) -> None:
    (created,) = place.serve(1)
    assert created.kind is Kind.LOG_KEY_CREATED
    assert created.data["key"] == place.run("key").stdout.strip()
    assert place.serve(1) == ()


def test_there_is_nothing_to_accept_in_a_record_that_is_as_it_was(place: Place) -> None:
    place.serve(3)
    result = place.run("accept", "--reason", "because")
    assert (result.exit_code, "nothing to accept" in result.stderr) == (4, True)
    assert place.run("accept").exit_code == 2


def test_a_restored_backup_is_refused_until_it_is_accepted(place: Place, tmp_path: Path) -> None:
    place.serve(3)
    shutil.copy(place.data.database, tmp_path / "backup")
    place.serve(5)
    shutil.copy(tmp_path / "backup", place.data.database)
    with pytest.raises(Misconfigured, match="has 4 entries, and had 9"):
        place.serve(1)
    result = place.run("accept", "--reason", "disk \u00e9", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"found": 4, "kept": 9})
    entry = place.last()
    assert (entry["kind"], entry["data"]["was_signed"], entry["data"]["after"]) == (
        "record.accepted",
        True,
        4,
    )
    place.serve(20)
    report = json.loads(place.run("verify", "--json").stdout)
    assert (report["ok"], report["notes"]) == (
        True,
        ["checkpoints.jsonl line 2 (size 9) was given up, and an entry says why"],
    )


def test_an_end_that_is_cut_off_after_it_does_not_pass_for_what_was_left_behind(
    place: Place, tmp_path: Path
) -> None:
    """The log that goes on comes to the sizes of checkpoints that were given up."""
    place.serve(3)
    shutil.copy(place.data.database, tmp_path / "backup")
    place.serve(5)
    (tmp_path / "before").write_text(place.run("checkpoint").stdout)
    shutil.copy(tmp_path / "backup", place.data.database)
    assert place.run("accept", "--reason", "disk").exit_code == 0
    shutil.copy(place.data.database, tmp_path / "shorter")
    place.serve(2)
    (tmp_path / "after").write_text(place.run("checkpoint").stdout)
    assert "\n7\n" in (tmp_path / "after").read_text()  # of 9 that were left behind
    shutil.copy(tmp_path / "shorter", place.data.database)
    what = "entries then and has 5 now: its end is missing"
    live = place.run("verify", "--json", "--checkpoint", str(tmp_path / "after"))
    assert [w["record"] for w in json.loads(live.stdout)["wrong"] if what in w["what"]] == [
        "checkpoints.jsonl line 4",
        str(tmp_path / "after"),
    ]
    out, source = tmp_path / "out", Source.of(place.config, place.data.root)
    key = str(source.log_key().vkey)
    with source.reading() as reader:
        export(reader, out, Wanted((key,), 1, 5), lambda done, size: None)
    kept = [tmp_path / "before", tmp_path / "after"]
    report = verification.verify(out, [key], kept)
    assert [record for record, said in report.wrong if what in said] == [str(tmp_path / "after")]
    assert [note for note in report.notes if "given up" in note] == [
        f"{tmp_path / 'before'} (size 9) was given up; an entry says why"
    ]


@pytest.mark.parametrize("what", ["signature = NULL", "signature = zeroblob(68)"])
def test_a_head_without_its_signature_is_refused_until_it_is_accepted(place: Place, what: str) -> None:
    place.serve(3)
    place.change(f"UPDATE head SET {what}")
    with pytest.raises(Misconfigured, match=r"not signed.*authz audit accept"):
        place.serve(1)
    assert place.run("verify").exit_code == 1
    assert place.run("accept", "--reason", "an accident").exit_code == 0
    assert place.last()["data"]["was_signed"] is False
    place.serve(1)
    assert place.run("verify").exit_code == 0


def test_a_record_from_before_there_was_a_key_is_signed_from_then_on(place: Place) -> None:
    place.serve(3)
    place.change("UPDATE head SET signature = NULL")
    shutil.rmtree(place.data.checkpoints.parent)
    place.data.log_key.unlink()
    assert len(place.serve(1)) == 1
    assert place.run("verify").exit_code == 0


def test_a_new_key_does_not_sign_what_another_one_signed(place: Place) -> None:
    place.serve(3)
    place.data.log_key.unlink()
    with pytest.raises(Misconfigured, match=r"share its log\.key"):
        place.serve(1)
    result = place.run("accept", "--reason", "the key is lost")
    assert (result.exit_code, "keep them as evidence" in result.stderr) == (2, True)
    place.data.checkpoints.rename(place.data.root / "kept")
    assert place.run("accept", "--reason", "the key is lost").exit_code == 0
    place.serve(1)
    assert place.run("verify").exit_code == 0


def test_a_damaged_tree_is_not_accepted(place: Place) -> None:
    place.serve(3)
    place.change("DELETE FROM entries WHERE seq = 4")
    result = place.run("accept", "--reason", "never mind")
    assert (result.exit_code, "the record is damaged" in result.stderr) == (2, True)


def test_a_log_keeps_its_name(place: Place) -> None:
    text = place.config.read_text()
    place.config.write_text(f"{text}\nrecord: {{origin: example.com/one}}\n")
    place.serve(1)
    assert place.run("key").stdout.startswith("example.com/one+")
    place.config.write_text(f"{text}\nrecord: {{origin: example.com/two}}\n")
    with pytest.raises(Misconfigured, match="a record keeps its name"):
        place.serve(1)
