"""Entries in place of others, whatever they say, are each named, and none ends the verification."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.commands.audit_place import Place

from authz_verifier import verification
from authz_verifier.bundles import FOLLOWED, JUDGED_BY
from authz_verifier.forgotten import STANDING, TOMBSTONES
from authz_verifier.report import show
from authz_verifier.tiles import unbundle

KINDS: list[object] = [
    *(
        f"hold.{what}"
        for what in ("opened", "voted", "edited", "withdrawn", "approved", "expired", "break_glass")
    ),
    *(f"grant.{what}" for what in ("proposed", "voted", "created", "used", "revoked")),
    *sorted(FOLLOWED | JUDGED_BY.keys() | TOMBSTONES | STANDING),
    *("session.read", "record.exported", "notification.retried", 5, None, [], {}),
]
SAID = (
    "hold grant person approvals digest vote voter verdict stages votes state deadline uses until used number"
)
SAID += " why by key previous signature after kept_size act caller reader operator owners typed answer"
ANYTHING = [None, 5, -1, float("inf"), True, "", "x", [], [1], ["a"], ["a/0"], [[1]], {}, {"a": 1}]
PAYLOADS = ("forward", "detail", "body", "given_up", "voter", "reader")


def odd(chance: Random, genuine: bytes) -> bytes:
    """An entry that is none, or of any other kind, about things that there are or are not."""
    entry: dict[str, Any] = json.loads(genuine)
    data = {name: chance.choice(ANYTHING) for name in SAID.split() if chance.random() < 0.8}
    if chance.random() < 0.7:
        data |= {"hold": "h", "grant": "g", "person": "p", "digest": "d", "approvals": ["a"]}
    references = {name: {"digest": "ab" * 32, "size": 3} for name in PAYLOADS if chance.random() < 0.8}
    for reference in references.values():
        if chance.random() < 0.1:
            reference[chance.choice(list(reference))] = chance.choice(ANYTHING)
    entry |= {"kind": chance.choice(KINDS), "data": data, "payloads": references}
    for member in list(entry):
        if chance.random() < 0.05:
            entry[member] = chance.choice(ANYTHING)
        elif chance.random() < 0.02:
            del entry[member]
    return json.dumps(entry).encode()


@pytest.mark.parametrize("seed", range(8))
def test_each_of_them_is_named(out: Path, seed: int) -> None:
    chance, path = Random(seed), out / "tile/entries/000"
    entries = [odd(chance, entry) for entry in unbundle(path.read_bytes())]
    path.write_bytes(b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries))
    report = verification.verify(out)
    named = {record for record, _ in report.wrong}
    assert {f"entry {sequence}" for sequence in range(1, 257)} <= named


def test_what_is_named_says_nothing_to_a_terminal(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is it what no terminal can show: half a character."""
    path = out / "tile/entries/000"
    first, *rest = unbundle(path.read_bytes())
    reference = {"digest": "ab" * 32, "size": 3}
    odd = json.dumps({**json.loads(first), "payloads": {"\x1b[2K\ud800": reference}}).encode()
    path.write_bytes(b"".join(len(entry).to_bytes(2, "big") + entry for entry in (odd, *rest)))
    show(verification.verify(out), as_json=False)
    shown = capsys.readouterr().out
    assert "WRONG  payload \\u001b[2K\\ud800 of entry 1: is not there" in shown
    assert shown.encode().isascii()
    assert "\x1b" not in shown


def test_nor_does_what_the_live_record_names(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.serve(1)
    columns = "id, hash, name, created_at, expires_at, seq, made"
    place.change(
        f"INSERT INTO api_keys ({columns}) VALUES (char(27) || '[2Jeverything fits', x'00', '', 1, 1, 1, 1)"
    )
    done = place.run("verify")
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert "\\u001b[2Jeverything fits" in done.stdout
