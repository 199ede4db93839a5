"""Signed notes (C2SP signed-note and tlog-checkpoint): keys, and checkpoints that were kept."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from authz_verifier.ed25519 import is_signature
from authz_verifier.errors import DAMAGE, CannotVerify, said
from authz_verifier.report import Report


@dataclass(frozen=True)
class Key:
    """A verifier key (C2SP signed-note): its text, name, the 4 bytes in its signatures, and 32 bytes."""

    text: str
    name: str
    id: bytes
    public: bytes


@dataclass(frozen=True)
class Kept:
    """A checkpoint that was kept: where, and its note's text and signatures."""

    source: str
    text: bytes
    signatures: list[tuple[str, bytes]]
    size: int
    root: bytes

    @property
    def origin(self) -> str:
        """The name of the log, its first line."""
        return self.text.split(b"\n")[0].decode()

    def signed_by(self, keys: Iterable[Key]) -> tuple[str, str]:
        """The text of the key that signed it; or "", and what is wrong."""
        by_id = {(key.name, key.id): key for key in keys}
        good = ""
        for name, signature in self.signatures:
            key = by_id.get((name, signature[:4]))
            if key is not None and not is_signature(key.public, signature[4:], self.text):
                return "", f"the signature of {name} is wrong"
            good = key.text if key is not None else good
        return good, "" if good else "is not signed by a key that is known"


def read_kept(path: Path, report: Report) -> list[Kept]:
    """The checkpoints of a file: one signed note, or a line of JSON with "checkpoint" for each."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise CannotVerify(f"{path} cannot be read ({said(error)})") from error
    if not text.startswith("{"):
        return [read_note(text, str(path))]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found.append(read_note(json.loads(line)["checkpoint"], f"{path.name} line {number}"))
        except (*DAMAGE, CannotVerify):
            report.add(f"{path.name} line {number}", "is no checkpoint")
    return found


def read_note(text: str, source: str) -> Kept:
    """A signed note (C2SP signed-note) around a checkpoint (tlog-checkpoint)."""
    try:
        body, separator, below = text.rpartition("\n\n")
        signatures = []
        for line in below.rstrip("\n").split("\n"):
            dash, name, signature = line.split(" ")
            if dash != "\u2014":
                raise ValueError
            signatures.append((name, decoded(signature)))
        origin, size, root, *_ = body.split("\n")
        if not separator or not origin or str(int(size)) != size or int(size) < 0:
            raise ValueError
        if len(decoded(root)) != 32:
            raise ValueError
        return Kept(source, f"{body}\n".encode(), signatures, int(size), decoded(root))
    except ValueError:
        raise CannotVerify(f"{source} is no signed checkpoint") from None


def parse_key(text: str) -> Key:
    """A verifier key: name+hash+base64(1, 32 bytes)."""
    try:
        name, id, encoded = text.strip().split("+", 2)
        public = decoded(encoded)
    except ValueError:
        raise CannotVerify("a key is name+hash+base64; this is none") from None
    made = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    if public[:1] != b"\x01" or len(public) != 33 or made.hex() != id:
        raise CannotVerify("the key is damaged, or no Ed25519 key")
    return Key(text.strip(), name, made, public[1:])


def decoded(text: str) -> bytes:
    """Base64 (RFC 4648 4) in its one way to be written, so that no character of it can be another."""
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError
    return content
