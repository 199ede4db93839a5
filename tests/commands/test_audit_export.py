"""An export is verified by what goes with it, alone, and every change of it is found and named."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pymerkle import InmemoryTree  # type: ignore[import-untyped]  # it has no types

from authz_cli.main import cli
from authz_service.audit.checkpoint import Checkpoint, VerifierKey, parse_note, verified
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import LARGEST_ENTRY
from authz_service.commands import verify_export
from authz_service.commands.audit_export import Wanted, export
from authz_service.config.starter import starter_text
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_service.store.open import open_store
from authz_service.store.record_reader import reading

FILLED = 600
COUNT = FILLED + 1  # three bundles, the last of them a part, with the entry of the export itself


def record(folder: Path, count: int = FILLED) -> LogKey:
    """A data directory with a signed record in it."""
    data = DataDir.open(folder / "data")
    key = LogKey.load_or_create(data.log_key, "example.com/log")
    load_or_create(data.pseudonym_key, lambda: bytes(32))
    (data.root / "authz.yaml").write_text(starter_text(model_url="http://127.0.0.1:9"))

    async def fill() -> None:
        store = await open_store(f"sqlite:///{data.database}", instance="one", pseudonym=str, signer=key)
        try:
            await store.append(*(draft(number) for number in range(count // 2)))
            await store.append(*(draft(number) for number in range(count // 2, count)))
        finally:
            await store.close()

    asyncio.run(fill())
    return key


def draft(number: int) -> EntryDraft:
    if number == 300:
        return EntryDraft(Kind.SERVICE_STOPPED, data={"note": "x" * (LARGEST_ENTRY - 140)})
    payloads = {"body": f"payload {number}".encode() * 50} if number % 5 == 0 else {}
    return EntryDraft(Kind.SESSION_READ, f"s{number}", {"number": number}, payloads)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LogKey]:
    folder = tmp_path_factory.mktemp("export")
    key = record(folder)
    assert run(folder, "export", str(folder / "out")).exit_code == 0
    return folder, key


@pytest.fixture
def out(made: tuple[Path, LogKey], tmp_path: Path) -> Path:
    """A copy of the export, to be changed."""
    shutil.copytree(made[0] / "out", tmp_path / "out")
    return tmp_path / "out"


def run(folder: Path, verb: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", verb, *arguments, "--data-dir", str(folder / "data")])


def alone(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier as an auditor runs it: no packages, no environment, nothing of ours."""
    command = [sys.executable, "-I", "-S", str(out / "verify.py"), "--json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={}, check=False)


def wrong(out: Path, *arguments: str) -> list[str]:
    report = verify_export.verify(out, arguments)
    assert report.count == len(report.wrong)
    return [record for record, _ in report.wrong]


def test_an_export_is_verified_by_its_own_verifier_with_nothing_installed(
    made: tuple[Path, LogKey], out: Path
) -> None:
    done = alone(out, "--key", str(made[1].vkey))
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["ok"]) == (0, "", True)
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


def test_independent_implementations_agree_on_the_root_and_the_signature(
    made: tuple[Path, LogKey], out: Path
) -> None:
    checkpoint = verified(parse_note((out / "checkpoint").read_text()), [made[1].vkey], is_ed25519_signature)
    entries: list[bytes] = []
    for name in ("tile/entries/000", "tile/entries/001", f"tile/entries/002.p/{COUNT - 512}"):
        entries += verify_export.unbundle((out / name).read_bytes())
    assert InmemoryTree.init_from_entries(entries, algorithm="sha256").get_root() == checkpoint.root
    assert checkpoint == Checkpoint("example.com/log", COUNT, checkpoint.root)
    assert VerifierKey.parse((out / "log.vkey").read_text()) == made[1].vkey


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = tree_hash(leaves[:k]), tree_hash(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def tile(out: Path, level: int, number: int, size: int) -> list[bytes]:
    """The hashes of a tile, as c2sp.org/tlog-tiles names it; here no number has more than three digits."""
    width = min(256, (size >> 8 * level) - 256 * number)
    name = f"tile/{level}/{number:03}" + ("" if width == 256 else f".p/{width}")
    content = (out / name).read_bytes()
    assert len(content) == 32 * width
    return [content[place : place + 32] for place in range(0, len(content), 32)]


def test_a_reader_of_tiles_that_is_not_ours_gets_the_signed_root(out: Path) -> None:
    origin, size_line, root = (out / "checkpoint").read_text().split("\n")[:3]
    size = int(size_line)
    assert (origin, size) == ("example.com/log", COUNT)
    leaves = [leaf for number in range(3) for leaf in tile(out, 0, number, size)]
    assert tree_hash(leaves) == base64.b64decode(root)
    whole = tile(out, 1, 0, size)
    assert whole == [tree_hash(leaves[:256]), tree_hash(leaves[256:512])]
    for number in range(3):
        name = f"{number:03}" if number < 2 else f"002.p/{COUNT - 512}"
        bundle = (out / "tile/entries" / name).read_bytes()
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entry, bundle = bundle[2 : 2 + length], bundle[2 + length :]
            assert hashlib.sha256(b"\x00" + entry).digest() == leaves.pop(0)
    assert leaves == []


def test_openssl_verifies_the_signature_of_a_checkpoint(out: Path, tmp_path: Path) -> None:
    """As c2sp.org/signed-note has it: a key of type 1, and four bytes of its name before the signature."""
    text, _, line = (out / "checkpoint").read_text().partition("\n\n")
    name, key_id, key = (out / "log.vkey").read_text().strip().split("+", 2)
    public, signature = base64.b64decode(key), base64.b64decode(line.split(" ")[2])
    assert line.startswith(f"\u2014 {name} ")
    assert (public[0], signature[:4].hex()) == (1, key_id)
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + public[1:])  # RFC 8410
    (tmp_path / "signature").write_bytes(signature[4:])
    (tmp_path / "text").write_text(text + "\n")
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "key.der"]
    command += ["-sigfile", "signature", "-in", "text"]

    def verify() -> tuple[int, str]:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout.strip()

    assert verify() == (0, "Signature Verified Successfully")
    (tmp_path / "text").write_text(text.replace(str(COUNT), str(COUNT + 1)) + "\n")
    assert verify()[0] != 0


def test_the_files_are_closed_to_others(out: Path) -> None:
    assert out.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o600}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


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
            changed = b"\n".join([origin, size, root.swapcase(), rest])
        else:
            changed = flipped(flipped(content, len(content) // 2), len(content) // 5)
        assert changed != content
        path.write_bytes(changed)
    monkeypatch.setattr(verify_export, "FEW_TILES", 0)
    monkeypatch.setattr(verify_export, "TILES_AT_ONCE", 1)
    alone = verify_export.verify(out, [str(made[1].vkey)])
    assert verify_export.verify(out, [str(made[1].vkey)], jobs=2) == alone
    assert bool(alone.count) == bool(damaged)


def test_a_process_that_is_killed_leaves_nothing_verified(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_export, "FEW_TILES", 0)
    monkeypatch.setattr(verify_export, "_open", killed)
    with pytest.raises(verify_export.CannotVerify, match="try --jobs 1"):
        verify_export.verify(out, jobs=2)


def killed(_folder: Path, _manifest: object) -> None:
    """What a process is that the system has ended, as for lack of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_number_of_processes_can_be_chosen(made: tuple[Path, LogKey], out: Path, jobs: str) -> None:
    assert alone(out, "--jobs", jobs).returncode == 0
    assert run(made[0], "verify", str(out), "--jobs", jobs).exit_code == 0
    assert run(made[0], "verify", "--jobs", jobs).exit_code == 0
    assert run(made[0], "verify", "--jobs", "0").exit_code == 2


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


def signed(key: LogKey, size: int, root: bytes) -> str:
    from authz_service.audit.checkpoint import note, sign_head

    checkpoint = Checkpoint(key.vkey.name, size, root)
    return note(checkpoint, key.vkey.name, sign_head(checkpoint, key))


def test_checkpoints_that_were_kept_find_a_cut_and_a_rewritten_log(
    made: tuple[Path, LogKey], out: Path
) -> None:
    tree = verify_export.Tree()
    for place in range(0, 32 * 256, 32):
        tree.append((out / "tile/0/000").read_bytes()[place : place + 32])
    kept = out.parent / "kept"
    for size, root, what in (
        (256, tree.root(), None),
        (256, bytes(32), "the log was rewritten"),
        (COUNT + 1, bytes(32), "its end is missing"),
        (0, verify_export.EMPTY_ROOT, None),
    ):
        kept.write_text(signed(made[1], size, root))
        report = verify_export.verify(out, [str(made[1].vkey)], [kept])
        assert [w for _, w in report.wrong if what is None or what not in w] == []
        assert bool(report.count) == (what is not None)
    kept.write_text(signed(LogKey.create("example.com/log"), 256, tree.root()))
    assert wrong_with(out, kept, made[1]) == ["is not signed by a key that is known"]
    kept.write_text("nothing")
    with pytest.raises(verify_export.CannotVerify, match="no signed checkpoint"):
        wrong_with(out, kept, made[1])


def wrong_with(out: Path, kept: Path, key: LogKey) -> list[str]:
    return [what for _, what in verify_export.verify(out, [str(key.vkey)], [kept]).wrong]


def test_a_range_goes_out_with_the_hashes_of_all(made: tuple[Path, LogKey], tmp_path: Path) -> None:
    out = tmp_path / "part"
    assert run(made[0], "export", str(out), "--from", "300", "--to", "310", "--no-payloads").exit_code == 0
    assert [p.name for p in (out / "tile/entries").iterdir()] == ["001"]
    report = verify_export.verify(out, [str(made[1].vkey)])
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


def proved(made: tuple[Path, LogKey], tmp_path: Path, number: int) -> Path:
    result = run(made[0], "prove", str(number))
    assert result.exit_code == 0
    path = tmp_path / "proof"
    path.write_text(result.stdout)
    return path


@pytest.mark.parametrize("number", [1, 2, 255, 256, 257, 301, 600])
def test_one_entry_is_shown_to_be_in_the_record_and_nothing_of_the_others(
    made: tuple[Path, LogKey], out: Path, tmp_path: Path, number: int
) -> None:
    path = proved(made, tmp_path, number)
    done = alone(out, "--proof", str(path), "--key", str(made[1].vkey))
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
    assert json.loads(done.stderr)["seq"] == number


def test_a_proof_convinces_of_nothing_else(made: tuple[Path, LogKey], tmp_path: Path) -> None:
    path = proved(made, tmp_path, 77)
    keys = [str(made[1].vkey)]
    text = path.read_text()
    other = proved(made, tmp_path, 78).read_text()
    for changed, record in (
        (text.replace("index 76", "index 77"), "entry 78"),
        (text.replace(text.split("\n")[1], other.split("\n")[1]), "entry 77"),
        (text.replace(text.split("\n")[4], text.split("\n")[5], 1), "entry 77"),
        (text.replace(f"\n{COUNT}\n", f"\n{COUNT - 1}\n"), "checkpoint"),
    ):
        path.write_text(changed)
        assert [r for r, _ in verify_export.verify_proof(path, keys)[0].wrong][:1] == [record]
    path.write_text(text)
    foreign = [str(LogKey.create("example.com/log").vkey)]
    assert [r for r, _ in verify_export.verify_proof(path, foreign)[0].wrong] == ["checkpoint"]
    for bad in ("", "nothing", text.replace("extra ", "ex "), text.partition("\n\n")[0], other[:80]):
        path.write_text(bad)
        with pytest.raises(verify_export.CannotVerify):
            verify_export.verify_proof(path, keys)
    with pytest.raises(verify_export.CannotVerify, match="--key"):
        verify_export.verify_proof(path, [])


def test_an_entry_that_is_not_there_has_no_proof(made: tuple[Path, LogKey]) -> None:
    assert run(made[0], "prove", str(COUNT + 1)).exit_code == 3
    assert run(made[0], "prove", "0").exit_code == 2


# RFC 8032 7.1, tests 1 to 3.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_verifiers_own_ed25519_is_that_of_the_specification(
    public: str, message: str, signature: str
) -> None:
    key, said, good = (bytes.fromhex(text) for text in (public, message, signature))
    assert verify_export.is_signature(key, good, said)
    for place in range(64):
        assert not verify_export.is_signature(key, flipped(good, place), said)
    assert not verify_export.is_signature(key, good, said + b"x")
    assert not verify_export.is_signature(flipped(key, 3), good, said)
    # RFC 8032 5.1.7: S must be below the order of the group, or one signature had several forms.
    s = int.from_bytes(good[32:], "little") + verify_export.ORDER
    assert not verify_export.is_signature(key, good[:32] + s.to_bytes(32, "little"), said)
    assert not verify_export.is_signature(key, good[:-1], said)


def test_both_ed25519_implementations_agree() -> None:
    key = LogKey.create("a")
    for number in range(20):
        message = str(number).encode()
        signature = key.sign(message)
        for changed in (signature, flipped(signature, number * 3)):
            ours = verify_export.is_signature(key.vkey.public, changed, message)
            assert ours == is_ed25519_signature(key.vkey.public, changed, message)


@pytest.mark.parametrize(
    "encoded", [b"\xff" * 32, (verify_export.P).to_bytes(32, "little"), b"\x02" + bytes(31)]
)
def test_what_is_no_point_is_refused(encoded: bytes) -> None:
    assert verify_export.decompress(encoded) is None


def test_the_verifier_imports_nothing_but_the_standard_library() -> None:
    source = Path(verify_export.__file__).read_text()
    names = {
        line.split()[1].partition(".")[0]
        for line in source.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert names <= sys.stdlib_module_names
