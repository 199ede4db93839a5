"""One entry that is shown to be in the record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from authz_verifier.errors import CannotVerify
from authz_verifier.notes import decoded, parse_key, read_note
from authz_verifier.report import Report
from authz_verifier.tree import is_included, leaf_hash

PROOF = "c2sp.org/tlog-proof@v1"


def verify_proof(path: Path, keys: Iterable[str]) -> tuple[Report, str]:
    """Verify a C2SP tlog-proof of one entry; what is found, and the entry. Raises `CannotVerify`."""
    report = Report()
    trusted = [parse_key(text) for text in keys]
    if not trusted:
        raise CannotVerify("a proof is verified with the public key: name it with --key")
    try:
        head, _, below = path.read_text("utf-8").partition("\n\n")
        form, extra, place, *hashes = head.split("\n")
        entry = decoded(extra.removeprefix("extra "))
        index = int(place.removeprefix("index "))
        proof = [decoded(text) for text in hashes]
        is_proof = form == PROOF and extra.startswith("extra ") and place == f"index {index}"
        if not is_proof or any(len(node) != 32 for node in proof):
            raise ValueError
    except (OSError, ValueError) as error:
        raise CannotVerify(f"{path} is no proof of an entry") from error
    note = read_note(below, "checkpoint")
    report.origin, report.size, report.root = note.origin, note.size, note.root.hex()
    report.key, wrong = note.signed_by(trusted)
    if wrong:
        report.add("checkpoint", wrong)
    if not is_included(leaf_hash(entry), index, note.size, proof, note.root):
        report.add(f"entry {index + 1}", "is not in the tree that was signed, or not with these bytes")
    report.entries = 1
    return report, entry.decode("utf-8", "replace")
