"""Checkpoints as C2SP has them: the text that is signed (tlog-checkpoint), the signed note around it
(signed-note), and the verifier key (vkey) that others hold.

Signing and checking Ed25519 are passed in: nothing here has a key of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_service.audit.merkle import HASH_BYTES

ED25519 = b"\x01"
"""The signature type of a plain Ed25519 key (signed-note, "Signatures")."""

SESSION = "record.log"
"""What entries about the log itself are filed under, so that they are found without reading the others."""

LARGEST_NOTE = 64 * 1024
_DASH = "\u2014"

Check = Callable[[bytes, bytes, bytes], bool]
"""Whether `signature` is a public key's Ed25519 signature over `message`: (public, signature, message)."""


class BadNote(ValueError):
    """A note, checkpoint or key that is not as its specification says, or not signed by who should."""


class Signer(Protocol):
    """A key of the log. `vkey` is its public half."""

    @property
    def vkey(self) -> VerifierKey: ...

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and an Ed25519 public key (32 bytes); as text `name+hash+key`, which others are given."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or not self.name.isprintable() or " " in self.name:
            raise BadNote("a key's name has neither spaces nor '+'")
        if len(self.public) != 32:
            raise BadNote("an Ed25519 public key has 32 bytes")

    @property
    def id(self) -> bytes:
        """The 4 bytes that name the key in a signature line (signed-note)."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The inverse of `str`; raises `BadNote`."""
        name, _, rest = text.strip().partition("+")
        id, _, key = rest.partition("+")
        decoded = _from_base64(key)
        if decoded[:1] != ED25519:
            raise BadNote("the key is no Ed25519 verifier key (name+hash+base64)")
        found = cls(name, decoded[1:])
        if found.id.hex() != id:
            raise BadNote(f"the hash in the key of {found.name} is not that of the key")
        return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How many entries a log has, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """What is signed (tlog-checkpoint): origin, size and root, each on a line."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Reads the signed text, whose further lines are left alone; raises `BadNote`."""
        try:
            origin, size, root, *_ = text.decode().split("\n")
        except ValueError:
            raise BadNote("not a checkpoint: it has fewer than three lines, or is no UTF-8") from None
        if not origin or not size.isascii() or not size.isdigit() or len(size) > 18:
            raise BadNote("not a checkpoint: an origin and a size are its first lines")
        if size != str(int(size)):
            raise BadNote("not a checkpoint: its size has leading zeroes")
        decoded = _from_base64(root)
        if len(decoded) != HASH_BYTES:
            raise BadNote("not a checkpoint: a root has 32 bytes")
        return cls(origin, int(size), decoded)


def sign_head(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signature as the head carries it: the key's id, then 64 bytes."""
    return signer.vkey.id + signer.sign(checkpoint.text)


def is_signed_by(checkpoint: Checkpoint, signature: bytes, keys: Iterable[VerifierKey], check: Check) -> bool:
    """Whether `signature`, with the key's id before it, is that of one of `keys` over this checkpoint."""
    return any(key.id == signature[:4] and check(key.public, signature[4:], checkpoint.text) for key in keys)


def note(checkpoint: Checkpoint, name: str, signature: bytes) -> str:
    """The checkpoint as a signed note; `signature` has the key's id before it."""
    return f"{checkpoint.text.decode()}\n{_DASH} {name} {base64.b64encode(signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read: its text, and the name and signature (with key id) of each who signed."""

    text: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint in it; raises `BadNote`."""
        return Checkpoint.parse(self.text)


def parse_note(text: str) -> Note:
    """Reads a signed note; raises `BadNote`. Whether a signature is good is not looked at."""
    if len(text) > LARGEST_NOTE:
        raise BadNote("a note has at most 64 KiB")
    body, separator, below = text.rpartition("\n\n")
    if not separator or not below.endswith("\n"):
        raise BadNote("not a signed note: no empty line before its signatures")
    return Note(f"{body}\n".encode(), tuple(_signature(line) for line in below[:-1].split("\n")))


def verified(note: Note, keys: Sequence[VerifierKey], check: Check) -> Checkpoint:
    """The checkpoint of a note that one of `keys` has signed; raises `BadNote` when none has.

    A signature of a known key that is wrong makes the whole note wrong; those of others are left alone.
    """
    by_id = {(key.name, key.id): key for key in keys}
    is_signed = False
    for name, signature in note.signatures:
        key = by_id.get((name, signature[:4]))
        if key is not None:
            if not check(key.public, signature[4:], note.text):
                raise BadNote(f"the signature of {name} is wrong")
            is_signed = True
    if not is_signed:
        raise BadNote("no key that is known has signed it")
    return note.checkpoint


def _signature(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    decoded = _from_base64(encoded)
    if dash != _DASH or not name or len(decoded) < 5:
        raise BadNote("not a signed note: a line below the empty one is no signature")
    return name, decoded


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadNote("not base64") from None
