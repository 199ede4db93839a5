"""One entry is shown to be in the record, and nothing else is."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from tests.commands.audit_place import Place
from tests.commands.exported import COUNT, alone, run, signed

from authz_service.audit.merkle import leaf_hash
from authz_service.keys.log_key import LogKey
from authz_verifier import errors, proof


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
        assert [r for r, _ in proof.verify_proof(path, keys)[0].wrong][:1] == [record]
    path.write_text(text)
    foreign = [str(LogKey.create("example.com/log").vkey)]
    assert [r for r, _ in proof.verify_proof(path, foreign)[0].wrong] == ["checkpoint"]
    for bad in ("", "nothing", text.replace("extra ", "ex "), text.partition("\n\n")[0], other[:80]):
        path.write_text(bad)
        with pytest.raises(errors.CannotVerify):
            proof.verify_proof(path, keys)
    with pytest.raises(errors.CannotVerify, match="--key"):
        proof.verify_proof(path, [])


def test_an_entry_that_is_shown_says_nothing_to_a_terminal(tmp_path: Path) -> None:
    """Nor does what names a file that is no proof."""
    place = Place(tmp_path)
    place.serve(1)
    assert place.run("export", str(tmp_path / "out")).exit_code == 0
    key = place.run("key").stdout.strip()
    body = json.dumps({"seq": 1, "note": "\x9b2Jeverything fits"}, ensure_ascii=False).encode()
    log_key = LogKey.create("example.com/log")
    extra, checkpoint = base64.b64encode(body).decode(), signed(log_key, 1, leaf_hash(body))
    text = [proof.PROOF, f"extra {extra}", "index 0", "", checkpoint]
    path = tmp_path / "proof"
    path.write_text("\n".join(text))
    done = alone(tmp_path / "out", "--proof", str(path), "--key", str(log_key.vkey))
    assert (done.returncode, "\x9b" in done.stderr) == (0, False)
    assert "\\u009b2Jeverything fits" in done.stderr
    done = alone(tmp_path / "out", "--proof", "\x9b2J", "--key", key)
    assert (done.returncode, done.stderr) == (2, "cannot verify: \\u009b2J is no proof of an entry\n")


def test_an_entry_that_is_not_there_has_no_proof(made: tuple[Path, LogKey]) -> None:
    assert run(made[0], "prove", str(COUNT + 1)).exit_code == 3
    assert run(made[0], "prove", "0").exit_code == 2
