"""An export is verified by what goes with it, alone, and every change of it is found and named."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest
from tests.commands.exported import COUNT, alone, flipped, run, signed

from authz_service.audit.checkpoint import Checkpoint, note, sign_head
from authz_service.audit.tiles import TileWriter
from authz_service.keys.log_key import LogKey
from authz_verifier import errors, verification, workers
from authz_verifier.tiles import FORMAT
from authz_verifier.tree import EMPTY_ROOT, Tree


def wrong(out: Path, *arguments: str) -> list[str]:
    report = verification.verify(out, arguments)
    assert report.count == len(report.wrong)
    return [record for record, _ in report.wrong]


def test_an_export_is_verified_by_its_own_verifier_with_nothing_installed(
    made: tuple[Path, LogKey], out: Path
) -> None:
    files = set(out.rglob("*"))
    done = alone(out, "--key", str(made[1].vkey))
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["ok"]) == (0, "", True)
    assert set(out.rglob("*")) == files  # and nothing was put into it
    assert (report["size"], report["entries"], report["payloads"]) == (COUNT, COUNT, 120)
    assert report["key"] == str(made[1].vkey)


def test_the_command_says_the_same(made: tuple[Path, LogKey], out: Path) -> None:
    result = run(made[0], "verify", str(out), "--key", str(made[1].vkey), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        json.loads(alone(out, "--key", str(made[1].vkey)).stdout),
    )
    plain = run(made[0], "verify", str(out))
    assert plain.exit_code == 0
    assert "compare it with the one that you were given" in plain.stdout


@pytest.mark.parametrize(
    "pattern", ["tile/0/*", "tile/0/002.p/*", "tile/1/000.p/*", "tile/entries/00*", "payloads/*"]
)
def test_a_changed_byte_of_any_file_is_found(out: Path, pattern: str) -> None:
    chance = random.Random(pattern)
    for path in sorted(p for p in out.glob(pattern) if p.is_file()):
        content = path.read_bytes()
        for place in chance.sample(range(len(content)), 8):
            path.write_bytes(flipped(content, place))
            assert wrong(out), f"{path.name} at {place}"
        path.write_bytes(content)
    assert wrong(out) == []


def test_a_changed_entry_is_named_and_so_are_all_others(out: Path) -> None:
    for name, number in (("tile/entries/000", 7), ("tile/entries/001", 500)):
        path = out / name
        old = f'"number":{number - 1}}}'.encode()
        assert path.read_bytes().count(old) == 1
        path.write_bytes(path.read_bytes().replace(old, old.replace(b"number", b"Number")))
    assert wrong(out) == ["entry 7", "entry 500"]


@pytest.mark.parametrize(
    "damaged", ["", "tile/entries/001", "tile/entries/000", "payloads/001", "tile/0/001", "checkpoint"]
)
def test_several_processes_find_the_same_in_the_same_order(
    made: tuple[Path, LogKey], out: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    if damaged:
        path = out / damaged
        content = path.read_bytes()
        if damaged == "checkpoint":  # one that is still a note, whatever its key and signature are
            origin, size, root, rest = content.split(b"\n", 3)
            changed = b"\n".join([origin, size, (b"B" if root[:1] == b"A" else b"A") + root[1:], rest])
        else:
            changed = flipped(flipped(content, len(content) // 2), len(content) // 5)
        assert changed != content
        path.write_bytes(changed)
    monkeypatch.setattr(workers, "TILES_AT_ONCE", 1)
    alone = verification.verify(out, [str(made[1].vkey)])
    assert verification.verify(out, [str(made[1].vkey)], jobs=2) == alone
    assert bool(alone.count) == bool(damaged)


def test_a_process_that_is_killed_leaves_nothing_verified(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_open", killed)
    with pytest.raises(errors.CannotVerify, match="try --jobs 1"):
        verification.verify(out, jobs=2)


def killed(_folder: Path, _manifest: object) -> None:
    """What a process is that the system has ended, as for lack of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_number_of_processes_can_be_chosen(made: tuple[Path, LogKey], out: Path, jobs: str) -> None:
    assert alone(out, "--jobs", jobs).returncode == 0
    assert run(made[0], "verify", str(out), "--jobs", jobs).exit_code == 0
    assert run(made[0], "verify", "--jobs", jobs).exit_code == 0
    assert run(made[0], "verify", "--jobs", "0").exit_code == 2


def test_only_a_large_export_is_verified_by_several_by_itself(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert workers.default_jobs(out, workers.FEW_ENTRIES - 1) == 1
    assert workers.default_jobs(out, workers.FEW_ENTRIES) == 3
    with (out / "payloads/001").open("r+b") as sparse:
        sparse.truncate(workers.FEW_BYTES)
    assert workers.default_jobs(out, 300) == 3


def test_a_changed_payload_is_named_with_its_entry(out: Path) -> None:
    path = out / "payloads/001"
    path.write_bytes(path.read_bytes().replace(b"payload 400", b"payload 40O", 1))
    assert wrong(out) == ["payloads/001", "payload body of entry 401"]


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/0/000", "payloads/000", "tile/1/000.p/2"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_an_export_of_which_a_part_is_missing_is_found(out: Path, name: str, damage: str) -> None:
    path = out / name
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) * 2 // 3 - 1] if damage == "cut" else b"")
    found = wrong(out)
    assert found
    assert found[0].startswith((name.partition(".")[0], "payload body of entry", name))


@pytest.mark.parametrize("name", ["manifest.json", "checkpoint", "log.vkey"])
def test_what_is_no_whole_export_cannot_be_verified(made: tuple[Path, LogKey], out: Path, name: str) -> None:
    (out / name).unlink()
    done = alone(out)
    assert (done.returncode, done.stdout) == (2, "")
    assert name in done.stderr
    result = run(made[0], "verify", str(out))
    assert result.exit_code == 2
    assert "cannot verify" in result.stderr


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":"authz-export/9"}', b"\xff", b'{"format":"authz-export/1"}']
)
def test_a_manifest_of_another_format_is_refused(out: Path, content: bytes) -> None:
    (out / "manifest.json").write_bytes(content)
    assert alone(out).returncode == 2


def test_an_export_of_another_log_is_found_by_the_key(out: Path) -> None:
    other = str(LogKey.create("example.com/log").vkey)
    done = alone(out, "--key", other)
    assert done.returncode == 1
    unknown = [wrong["record"] for wrong in json.loads(done.stdout)["wrong"]]
    assert unknown == ["checkpoint", "checkpoints.jsonl line 1"]
    assert alone(out, "--key", "no key").returncode == 2


def test_checkpoints_that_were_kept_find_a_cut_and_a_rewritten_log(
    made: tuple[Path, LogKey], out: Path
) -> None:
    tree = Tree()
    for place in range(0, 32 * 256, 32):
        tree.append((out / "tile/0/000").read_bytes()[place : place + 32])
    kept = out.parent / "kept"
    for size, root, what in (
        (256, tree.root(), None),
        (256, bytes(32), "the log was rewritten"),
        (COUNT + 1, bytes(32), "its end is missing"),
        (0, EMPTY_ROOT, None),
    ):
        kept.write_text(signed(made[1], size, root))
        report = verification.verify(out, [str(made[1].vkey)], [kept])
        assert [w for _, w in report.wrong if what is None or what not in w] == []
        assert bool(report.count) == (what is not None)
    other = Checkpoint("example.com/other", 256, tree.root())
    kept.write_text(note(other, made[1].vkey.name, sign_head(other, made[1])))
    assert ["rewritten" in what for what in wrong_with(out, kept, made[1])] == [True]
    kept.write_text(signed(LogKey.create("example.com/log"), 256, tree.root()))
    assert wrong_with(out, kept, made[1]) == ["is not signed by a key that is known"]
    kept.write_text("nothing")
    with pytest.raises(errors.CannotVerify, match="no signed checkpoint"):
        wrong_with(out, kept, made[1])


def wrong_with(out: Path, kept: Path, key: LogKey) -> list[str]:
    return [what for _, what in verification.verify(out, [str(key.vkey)], [kept]).wrong]


def test_a_changed_hash_in_a_full_tile_above_others_is_named(tmp_path: Path) -> None:
    """A log of which there are the tiles alone: so many entries would take long."""
    writer, tree, key = TileWriter(), Tree(), LogKey.create("example.com/log")
    leaves = [number.to_bytes(32, "big") for number in range(256 * 256 + 3)]
    files = [file for leaf in leaves for file in writer.append(leaf)]
    for name, content in [*files, *writer.rest()]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for leaf in leaves:
        tree.append(leaf)
    (tmp_path / "checkpoint").write_text(signed(key, len(leaves), tree.root()))
    (tmp_path / "log.vkey").write_text(str(key.vkey))
    none = {"format": FORMAT, "first": len(leaves) + 256, "last": len(leaves) + 256, "payloads": 0}
    (tmp_path / "manifest.json").write_text(json.dumps(none))
    assert wrong(tmp_path) == []
    tile = tmp_path / "tile/1/000"
    tile.write_bytes(flipped(tile.read_bytes(), 32 * 7))
    assert verification.verify(tmp_path).wrong == [
        ("tile/1/000", f"does not fit the hashes below it, from entry {7 * 256 + 1} on")
    ]
