"""Implementations that are not ours agree about an export."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

from pymerkle import InmemoryTree  # type: ignore[import-untyped]  # it has no types
from tests.commands.exported import COUNT, tile

from authz_service.audit.checkpoint import Checkpoint, VerifierKey, parse_note, verified
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_verifier import tiles


def test_independent_implementations_agree_on_the_root_and_the_signature(
    made: tuple[Path, LogKey], out: Path
) -> None:
    checkpoint = verified(parse_note((out / "checkpoint").read_text()), [made[1].vkey], is_ed25519_signature)
    entries: list[bytes] = []
    for name in ("tile/entries/000", "tile/entries/001", f"tile/entries/002.p/{COUNT - 512}"):
        entries += tiles.unbundle((out / name).read_bytes())
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
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout.strip()

    assert verify() == (0, "Signature Verified Successfully")
    (tmp_path / "text").write_text(text.replace(str(COUNT), str(COUNT + 1)) + "\n")
    assert verify()[0] != 0
