"""What an export says was purged or erased is believed where the tree has it, and nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.commands.exported import alone

from authz_service.keys.log_key import LogKey
from authz_verifier.tiles import unbundle

WHOLE = {"first": 1, "last": 256, "but": [], "only": [], "entries": 256}


def tombstone(of: str, sequence: object) -> bytes:
    data: dict[str, Any] = {"class": of, **WHOLE}
    return json.dumps({"seq": sequence, "kind": "record.purged", "data": data}).encode()


def cut_out(out: Path, of: str) -> bytes:
    """Take the first bundle's payloads, or all of it; returns its first entry as it was."""
    bundle = out / "tile/entries/000"
    genuine = next(iter(unbundle(bundle.read_bytes())))
    (out / "payloads/000").unlink()
    if of == "entries":
        bundle.write_bytes(bytes(2 * 256))
    return genuine


@pytest.mark.parametrize("of", ["payloads", "entries"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_forged_tombstone_with_the_number_of_a_genuine_entry_is_found(
    made: tuple[Path, LogKey], out: Path, of: str, is_first: bool
) -> None:
    lines = [tombstone(of, 1), cut_out(out, of)]
    (out / "tombstones.jsonl").write_bytes(b"\n".join(lines if is_first else lines[::-1]) + b"\n")
    done = alone(out, "--key", str(made[1].vkey))
    assert done.returncode == 1
    found = {finding["record"]: finding["what"] for finding in json.loads(done.stdout)["wrong"]}
    assert found["tombstones.jsonl, entry 1"] == "is there more than once"


@pytest.mark.parametrize("number", [1.0, True, "1", None])
def test_a_tombstone_whose_number_is_none_is_not_read(out: Path, number: object) -> None:
    (out / "tombstones.jsonl").write_bytes(tombstone("payloads", number) + b"\n" + cut_out(out, "payloads"))
    done = alone(out)
    assert (done.returncode, done.stderr) == (
        2,
        "cannot verify: tombstones.jsonl cannot be read (ValueError)\n",
    )
