"""A new key is signed for by the old one: whoever holds either verifies the whole record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.commands.audit_place import Place

from authz_service.commands import audit_rotate
from authz_service.errors import Misconfigured
from authz_service.keys.log_key import LogKey
from authz_verifier import verification


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def key_of(place: Place) -> str:
    return place.run("key").stdout.strip()


def rotated(place: Place) -> tuple[str, str]:
    """A record that was signed by two keys, which are returned."""
    place.serve(3)
    old = key_of(place)
    result = place.run("rotate-key", "--reason", "as every year")
    assert result.exit_code == 0, result.stderr
    place.serve(3)
    return old, key_of(place)


def test_the_record_goes_on_under_the_new_key_and_says_so(place: Place) -> None:
    old, new = rotated(place)
    assert old != new
    assert old.split("+")[0] == new.split("+")[0]
    assert not list(place.data.root.glob("log.key.*"))
    assert place.data.log_key.stat().st_mode & 0o777 == 0o600
    report = json.loads(place.run("verify", "--json").stdout)
    assert (report["ok"], report["key"]) == (True, new)


@pytest.mark.parametrize("which", [0, 1])
def test_whoever_holds_either_public_key_verifies_all_of_it(place: Place, tmp_path: Path, which: int) -> None:
    key = rotated(place)[which]
    assert place.run("verify", "--key", key).exit_code == 0
    assert place.run("export", str(tmp_path / "out")).exit_code == 0
    report = verification.verify(tmp_path / "out", [key])
    assert (report.wrong, report.checkpoints) == ([], 4)
    other = str(LogKey.create(key.split("+")[0]).vkey)
    assert place.run("verify", "--key", other).exit_code == 1
    assert verification.verify(tmp_path / "out", [other]).count


def test_a_rotation_that_the_old_key_has_not_signed_convinces_nobody(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_rotate, "statement", lambda _old, _new: b"another statement")
    old, new = rotated(place)
    assert place.run("verify", "--key", old).exit_code == 1
    assert place.run("export", str(tmp_path / "out")).exit_code == 0
    said = [what for _, what in verification.verify(tmp_path / "out", [old]).wrong]
    assert "the old key has not signed for the new one" in said
    assert verification.verify(tmp_path / "out", [new]).count


def test_beside_a_damaged_payload_no_checkpoint_of_an_earlier_key_is_accused(
    place: Place, tmp_path: Path
) -> None:
    _, new = rotated(place)
    assert place.run("export", str(tmp_path / "out")).exit_code == 0
    payloads = tmp_path / "out/payloads/000"
    payloads.write_bytes(payloads.read_bytes()[:-1] + b"?")
    found = verification.verify(tmp_path / "out", [new])
    assert [record.split()[0] for record, _ in found.wrong] == ["payloads/000", "payload"]
    assert found.checkpoints == 4


@pytest.mark.parametrize(
    ("where", "before", "after"),
    [
        ("tile/entries/000.p/*", b"service.started", b"service.stopped"),
        ("tombstones.jsonl", b'"data":', b'"data": '),
    ],
)
def test_what_is_not_as_it_was_signed_vouches_for_no_earlier_key(
    place: Place, tmp_path: Path, where: str, before: bytes, after: bytes
) -> None:
    _, new = rotated(place)
    assert place.run("export", str(tmp_path / "out")).exit_code == 0
    (path,) = (tmp_path / "out").glob(where)
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    assert "checkpoints.jsonl line 1" in {r for r, _ in verification.verify(tmp_path / "out", [new]).wrong}


def test_a_rotation_that_was_cut_off_is_finished_by_the_next_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.serve(3)
    old = key_of(place)

    def cut(*_: Any) -> None:
        raise Misconfigured("the power was cut")

    with monkeypatch.context() as patch:
        patch.setattr(audit_rotate, "_replace", cut)
        assert place.run("rotate-key", "--reason", "now").exit_code == 2
    assert key_of(place) == old
    with pytest.raises(Misconfigured, match="not signed by the key"):
        place.serve(1)
    assert place.run("rotate-key", "--reason", "again").exit_code == 0
    place.serve(1)
    report = json.loads(place.run("verify", "--json").stdout)
    assert (report["ok"], report["key"] != old) == (True, True)


def test_a_record_that_is_not_the_one_that_was_signed_gets_no_new_key(place: Place) -> None:
    place.serve(3)
    place.change("UPDATE head SET signature = zeroblob(68)")
    old = key_of(place)
    assert place.run("rotate-key", "--reason", "now").exit_code == 2
    assert key_of(place) == old


def test_without_a_key_there_is_nothing_to_exchange(place: Place) -> None:
    assert place.run("rotate-key", "--reason", "now").exit_code == 2
