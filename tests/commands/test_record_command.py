"""`authz record`: purge, erase, keep and rotate-key on a data directory whose service is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.commands.record_commands import Stopped, said, verify

from authz_cli.main import cli
from authz_service.keys.data_dir import DataDir
from authz_verifier import tiles


@pytest.fixture
def stopped(tmp_path: Path) -> Stopped:
    return Stopped(tmp_path)


def test_a_dry_run_changes_nothing_and_a_purge_takes_what_it_said(stopped: Stopped) -> None:
    planned = said(stopped.run("record", "purge", "--older-than", "0h", "--dry-run", "--json"))
    assert (planned["payloads"], planned["dry_run"]) == (4, True)
    assert len(stopped.read("ses_alice")[1].payloads) == 1
    asked = ("record", "purge", "--older-than", "0h", "--reason", "tidy", "--json")
    refused = stopped.run(*asked)
    assert refused.exit_code != 0
    assert said(stopped.run(*asked, "--yes"))["payloads"] == 4
    entry = stopped.read("ses_alice")[1]
    assert entry.payloads == {}
    assert "(by hand, older than 0d; entry " in entry.missing["body"]
    assert stopped.run("audit", "verify").exit_code == 0


def test_a_person_is_erased_and_a_legal_hold_prevents_it_until_it_is_lifted(stopped: Stopped) -> None:
    kept = said(stopped.run("record", "keep", "ses_alice", "--reason", "case 7", "--json"))["id"]
    (listed,) = said(stopped.run("record", "keep", "--list", "--json"))
    assert (listed["id"], listed["session"], listed["reason"]) == (kept, "ses_alice", "case 7")
    erase = ("record", "erase", "--subject", "alice", "--reason", "asked for it", "--yes", "--json")
    refused = stopped.run(*erase)
    assert refused.exit_code != 0
    assert kept in refused.output
    assert said(stopped.run("record", "keep", "--lift", kept, "--reason", "closed", "--json")) == {
        "lifted": kept
    }
    erased = said(stopped.run(*erase))
    assert (erased["sessions"], erased["payloads"], erased["keys"]) == (1, 2, 1)
    assert stopped.read("ses_alice")[1].missing["body"].startswith("erased on ")
    assert len(stopped.read("ses_bob")[1].payloads) == 1
    assert stopped.run("audit", "verify").exit_code == 0
    unknown = stopped.run(*erase)
    assert unknown.exit_code != 0
    assert "nobody of that name" in unknown.output


def test_an_export_of_what_was_purged_and_erased_verifies_by_itself(stopped: Stopped, tmp_path: Path) -> None:
    erase = ("record", "erase", "--subject", "alice", "--reason", "asked", "--yes")
    assert stopped.run(*erase).exit_code == 0
    purge = ("record", "purge", "--older-than", "0h", "--reason", "tidy", "--yes")
    for number, kind in enumerate(("payloads", "entries")):
        out = tmp_path / f"out{number}"
        assert stopped.run("audit", "export", str(out)).exit_code == 0
        result = verify(out)
        assert result.returncode == 0, result.stdout
        assert "were purged or erased" in result.stdout
        assert stopped.run(*purge, "--class", kind).exit_code == 0
    out = tmp_path / "last"
    assert stopped.run("audit", "export", str(out)).exit_code == 0
    assert verify(out).returncode == 0
    assert stopped.run("audit", "verify").exit_code == 0
    # Without its tombstones, or with others, the same export is not whole.
    tombstones = out / "tombstones.jsonl"
    kept = tombstones.read_bytes()
    tombstones.unlink()
    assert verify(out).returncode == 1
    tombstones.write_bytes(kept.replace(b"by hand", b"by Hand"))
    assert verify(out).returncode == 1


def test_an_export_in_which_what_was_purged_came_back_is_not_whole(stopped: Stopped, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    assert stopped.run("audit", "export", str(before)).exit_code == 0
    purge = ("record", "purge", "--older-than", "0h", "--reason", "tidy", "--yes")
    assert stopped.run(*purge).exit_code == 0
    assert stopped.run("audit", "export", str(after)).exit_code == 0
    assert verify(after).returncode == 0
    (after / "payloads/000").write_bytes((before / "payloads/000").read_bytes())
    said = verify(after)
    assert said.returncode == 1
    assert "is there, and a tombstone says that it was taken" in said.stdout


def test_a_tombstone_that_lost_its_order_is_missed_in_an_export(stopped: Stopped, tmp_path: Path) -> None:
    """No later tombstone accounts for it: nothing is ever taken from one."""
    purge = ("record", "purge", "--older-than", "0h", "--reason", "tidy", "--yes")
    assert stopped.run(*purge).exit_code == 0
    for _ in range(2):
        assert stopped.run(*purge, "--class", "entries").exit_code == 0
    out = tmp_path / "out"
    assert stopped.run("audit", "export", str(out)).exit_code == 0
    assert verify(out).returncode == 0
    (out / "payloads/000").unlink()
    said = verify(out)
    assert said.returncode == 1
    assert "payload order of entry" in said.stdout


def test_entries_that_lost_their_bytes_in_an_export_are_counted(stopped: Stopped, tmp_path: Path) -> None:
    keep = ("record", "keep", "ses_alice", "--reason", "case 7")
    assert stopped.run(*keep).exit_code == 0
    purge = ("record", "purge", "--older-than", "0h", "--reason", "tidy", "--yes")
    assert stopped.run(*purge, "--class", "entries").exit_code == 0
    out = tmp_path / "out"
    assert stopped.run("audit", "export", str(out)).exit_code == 0
    assert verify(out).returncode == 0, verify(out).stdout
    (file,) = (out / "tile/entries").rglob("000*/*")
    bodies = list(tiles.unbundle(file.read_bytes()))
    kept = next(place for place, body in enumerate(bodies) if b'"session":"ses_alice"' in body)
    bodies[kept] = b""
    file.write_bytes(b"".join(len(body).to_bytes(2, "big") + body for body in bodies))
    said = verify(out)
    assert said.returncode == 1
    assert "have lost their bytes, tombstones tell of" in said.stdout


def test_the_master_key_is_exchanged_and_the_old_one_opens_nothing(stopped: Stopped) -> None:
    old = stopped.data.master_key.read_bytes()
    result = stopped.run("record", "rotate-key", "--reason", "yearly")
    assert result.exit_code == 0, result.output
    new = stopped.data.master_key.read_bytes()
    assert new != old
    assert not stopped.data.master_key.with_name("master.key.next").exists()
    assert stopped.read("ses_alice")[1].payloads == {"body": b"a prompt"}
    assert stopped.read("record.retention")[-1].kind == "record.master_key_rotated"
    stopped.data.master_key.write_bytes(old)
    refused = stopped.run("record", "keep", "--list")
    assert refused.exit_code != 0
    assert "is not the master key of this record's keys" in refused.output


def test_a_configured_master_key_is_exchanged_for_the_one_in_a_file(stopped: Stopped, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first.key", "second.key")]
    for number, file in enumerate(files):
        file.write_text(bytes([number + 1] * 32).hex())
        file.chmod(0o600)
    starter = stopped.config.read_text()

    def configured(file: Path) -> None:
        stopped.config.write_text(f"{starter}record: {{keys: {{master: {{file: {file}}}}}}}\n")

    own = stopped.data.master_key.read_bytes()
    rotate = ("record", "rotate-key", "--reason", "to a file of ours", "--new-key")
    to_a_file = stopped.run(*rotate, str(files[0]))
    assert to_a_file.exit_code == 0, to_a_file.output
    assert "name it in record.keys.master before the next start" in to_a_file.output
    assert stopped.data.master_key.read_bytes() == own
    unnamed = stopped.run("record", "keep", "--list")
    assert "is not the master key of this record's keys" in unnamed.output
    configured(files[0])
    assert stopped.read("ses_alice")[1].payloads == {"body": b"a prompt"}
    without = stopped.run("record", "rotate-key", "--reason", "yearly")
    assert without.exit_code != 0
    assert "name the new one with --new-key FILE" in without.output
    for _ in range(2):  # the second finds the keys wrapped by it already
        assert stopped.run(*rotate, str(files[1])).exit_code == 0
    configured(files[1])
    assert stopped.read("ses_alice")[1].payloads == {"body": b"a prompt"}
    rotations = [e for e in stopped.read("record.retention") if e.kind == "record.master_key_rotated"]
    assert [json.loads(entry.payloads["order"])["reason"] for entry in rotations] == ["to a file of ours"] * 3
    assert stopped.run("audit", "verify").exit_code == 0
    configured(files[0])
    assert stopped.run("record", "keep", "--list").exit_code != 0


def test_an_exchange_of_the_master_key_that_was_cut_off_is_finished_by_the_next(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("authz_service.commands.record_work.os.replace", cut)
        stopped.run("record", "rotate-key", "--reason", "yearly")
    assert stopped.run("record", "keep", "--list").exit_code != 0
    assert stopped.run("record", "rotate-key", "--reason", "again").exit_code == 0
    assert stopped.read("ses_alice")[1].payloads == {"body": b"a prompt"}


@pytest.mark.parametrize(
    "arguments",
    [("keep",), ("keep", "ses_alice", "--list"), ("purge", "--older-than", "soon"), ("erase",)],
)
def test_what_cannot_be_meant_is_a_usage_error(stopped: Stopped, arguments: tuple[str, ...]) -> None:
    assert stopped.run("record", *arguments).exit_code == 2


def test_a_reason_is_needed_and_a_missing_record_is_said(stopped: Stopped, tmp_path: Path) -> None:
    assert "--reason" in stopped.run("record", "keep", "ses_alice").output
    empty = tmp_path / "empty"
    DataDir.open(empty)
    (empty / "authz.yaml").write_text(stopped.config.read_text())
    result = CliRunner().invoke(cli, ["record", "keep", "--list", "--data-dir", str(empty)])
    assert "start the service once" in result.output
