"""A changed byte of any file of an export is found and named, and none ends its verifier in another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.store.filled_record import KEY
from tests.store.whole_export import whole_export

from authz_verifier import verification
from authz_verifier.errors import CannotVerify
from authz_verifier.report import Report
from authz_verifier.tiles import WIDTH, unbundle

EXAMPLES = 6
"""For each file; `make soak` has more of them."""
NOT_COVERED = {"verify.py", "authz_verifier", "manifest.json", "log.vkey"}
"""The verifier, which an auditor takes from elsewhere; the manifest, which nobody signs; and the key, which
an auditor has already. Nor is what stands beside a kept checkpoint in its line, which is not read."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
Names = Callable[[str], bool]
"""Whether a record that is named is the one that a changed byte is of."""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    return whole_export(tmp_path_factory.mktemp("whole"), sqlite_template)


def test_as_it_was_made_everything_fits(export: Path) -> None:
    for keys in ([str(KEY.vkey)], []):
        report = verification.verify(export, keys)
        assert (report.wrong, report.checkpoints) == ([], 3)
    kinds = {json.loads(body)["kind"] for body in _bodies(export).values() if body}
    assert kinds >= {
        *(f"hold.{what}" for what in ("opened", "voted", "edited", "responded", "withdrawn", "approved")),
        *(f"grant.{what}" for what in ("proposed", "voted", "created", "used", "revoked")),
        *(f"record.{what}" for what in ("purged", "erasure_ordered", "erased", "accepted")),
        "log.key_rotated",
        "login.accepted",
        "request.released",
    }
    assert b"" in _bodies(export).values()


def test_a_changed_byte_of_any_file_is_named(export: Path) -> None:
    changes_are_named(export, Random(1), EXAMPLES)


def changes_are_named(export: Path, chance: Random, examples: int) -> int:
    """In each file change so many bytes, one at a time; returns how many there were."""
    done = 0
    for path in sorted(path for path in export.rglob("*") if path.is_file()):
        name = path.relative_to(export).as_posix()
        if name.split("/")[0] in NOT_COVERED:
            continue
        for place, changed in _changes(path, chance, examples):
            if name == "checkpoints.jsonl" and _kept(path.read_bytes()) == _kept(changed):
                continue
            found = _found(export, path, changed, [str(KEY.vkey)])
            if not isinstance(found, str):
                named = [record for record, _ in found.wrong]
                is_it = _named_by(export, name, place)
                assert any(map(is_it, named)), (name, place, changed[max(0, place - 20) : place + 20], named)
            done += 1
    return done


def test_a_changed_byte_of_the_manifest_is_told_or_said_in_a_note_or_nothing_is_judged_by_it(
    export: Path,
) -> None:
    path, whole = export / "manifest.json", verification.verify(export, [str(KEY.vkey)])
    for _, changed in _changes(path, Random(2), 12 * EXAMPLES):
        found = _found(export, path, changed, [str(KEY.vkey)])
        if isinstance(found, Report) and found.wrong == [] and found.notes == whole.notes:
            before, after = json.loads(path.read_bytes()), json.loads(changed)
            assert {name for name in before if before[name] != after.get(name)} <= {"size", "key", "payloads"}
            assert bool(after["payloads"]) is bool(before["payloads"])


def test_a_changed_byte_of_the_key_is_found_where_the_export_is_all_that_says_it(export: Path) -> None:
    path = export / "log.vkey"
    for _, changed in _changes(path, Random(3), 4 * EXAMPLES):
        if changed.split() != path.read_bytes().split():
            found = _found(export, path, changed, [])
            assert isinstance(found, str) or found.wrong, changed


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("hold.voted", b"security/0", b"security.0"),
        ("request.released", b'"session"', b'"sessiom"'),
        ("hold.opened", b'"data"', b'"dada"'),
        ("login.accepted", b'"until":1', b'"until":Infinity,"x":1'),
    ],
)
def test_an_entry_of_which_something_cannot_be_derived_is_named(
    export: Path, kind: str, before: bytes, after: bytes
) -> None:
    """As a stage's name, and the session of a payload that no export has."""
    path, bodies = export / "tile/entries/000", list(_bodies(export).values())[:WIDTH]
    of = f'"kind":"{kind}"'.encode()
    for number, body in enumerate(bodies, 1):
        if of in body and before in body:
            others = [*bodies[: number - 1], body.replace(before, after), *bodies[number:]]
            changed = b"".join(len(other).to_bytes(2, "big") + other for other in others)
            found = _found(export, path, changed, [str(KEY.vkey)])
            assert isinstance(found, Report)
            assert f"entry {number}" in [record for record, _ in found.wrong]
            break
    else:
        raise AssertionError("no entry is like this")


def test_no_character_of_a_signature_or_a_root_can_be_another(export: Path) -> None:
    """The last one before the padding has bits that say nothing."""
    path = export / "checkpoint"
    content = path.read_bytes()
    for place in (match for match in range(len(content)) if content[match + 1 : match + 2] == b"="):
        value = _BASE64.index(content[place])
        for other in range(value & ~3, (value & ~3) + 4):
            changed = content[:place] + _BASE64[other : other + 1] + content[place + 1 :]
            found = _found(export, path, changed, [str(KEY.vkey)])
            assert (isinstance(found, str) or found.wrong != []) is (other != value)


def _changes(path: Path, chance: Random, examples: int) -> Iterator[tuple[int, bytes]]:
    """The places of bytes, and the content with another byte there: in one bit, or any."""
    content = path.read_bytes()
    for place in chance.sample(range(len(content)), min(examples, len(content))):
        other = content[place] ^ (
            1 << chance.randrange(8) if chance.random() < 0.7 else chance.randrange(1, 256)
        )
        yield place, content[:place] + bytes([other]) + content[place + 1 :]


def _found(export: Path, path: Path, changed: bytes, keys: list[str]) -> Report | str:
    """What is said of the export with this in place of the file; a text where it cannot be verified."""
    before = path.read_bytes()
    path.write_bytes(changed)
    try:
        return verification.verify(export, keys)
    except CannotVerify as error:
        return str(error)
    finally:
        path.write_bytes(before)


def _named_by(export: Path, name: str, place: int) -> Names:
    folder, number = name.rpartition("/")[0], int(name.split("/")[2].split(".")[0]) if "tile/" in name else 0
    if name.startswith("tile/entries"):
        sequence = number * WIDTH + 1
        for body in unbundle((export / name).read_bytes()):
            if place < 2 + len(body):
                break
            place, sequence = place - 2 - len(body), sequence + 1
        is_length = place < 2
        return lambda record: record == f"entry {sequence}" or (is_length and record == name)
    if name.startswith("tile/0/"):
        sequence = number * WIDTH + place // 32 + 1
        if _bodies(export)[sequence]:
            return lambda record: record == f"entry {sequence}"
        return lambda record: record in ("checkpoint", "tile/1/000.p/1")
    if folder == "payloads":
        return lambda record: record.startswith("payload ") or record == name
    if name == "checkpoints.jsonl":
        line = (export / name).read_bytes()[:place].count(b"\n") + 1
        return lambda record: record == f"{name} line {line}"
    return lambda record: record.startswith(name)


def _bodies(export: Path) -> dict[int, bytes]:
    bundles = sorted(path for path in (export / "tile/entries").rglob("*") if path.is_file())
    return dict(enumerate((body for path in bundles for body in unbundle(path.read_bytes())), 1))


def _kept(content: bytes) -> list[object] | None:
    """The checkpoints of a file, which are all that is read of it; None where it cannot be read."""
    try:
        return [json.loads(line)["checkpoint"] for line in content.decode().splitlines()]
    except (ValueError, LookupError, TypeError):
        return None
