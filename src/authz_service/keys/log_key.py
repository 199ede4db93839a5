"""The key that signs the log's heads: Ed25519, in one line of a file that nobody else may read.

The line is a signed-note signing key (`PRIVATE+KEY+name+hash+key`), as other tools for such logs keep it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authz_service.audit.checkpoint import ED25519, BadNote, VerifierKey
from authz_service.errors import Misconfigured
from authz_service.keys.files import load_or_create

_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's key; its name is the origin of the log's checkpoints. The private half shows nowhere."""

    vkey: VerifierKey
    _private: Ed25519PrivateKey

    @classmethod
    def create(cls, name: str) -> LogKey:
        """A new key; raises `BadNote` for a name with spaces or '+'."""
        return cls._of(name, Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path, name: str) -> LogKey:
        """The key in `path`, which is first made (0600) under `name` when there is none.

        Raises `Misconfigured` for a file that is no key, or that others may read.
        """
        content = load_or_create(path, lambda: cls.create(name).to_bytes())
        try:
            return cls.from_bytes(content)
        except BadNote as error:
            raise Misconfigured(f"{path} is no signing key of a log; restore it from a backup") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> LogKey:
        """The inverse of `to_bytes`; raises `BadNote`, which shows nothing of the key."""
        try:
            name, id, encoded = content.decode().strip().removeprefix(_PREFIX).split("+", 2)
            decoded = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise BadNote("not a signing key") from None
        if decoded[:1] != ED25519 or len(decoded) != 33:
            raise BadNote("not an Ed25519 signing key")
        key = cls._of(name, Ed25519PrivateKey.from_private_bytes(decoded[1:]))
        if key.vkey.id.hex() != id:
            raise BadNote("the signing key is damaged: its hash is another")
        return key

    def to_bytes(self) -> bytes:
        """The line for the file."""
        secret = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode()
        return f"{_PREFIX}{self.vkey.name}+{self.vkey.id.hex()}+{secret}\n".encode()

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032), 64 bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"LogKey({self.vkey})"

    @classmethod
    def _of(cls, name: str, private: Ed25519PrivateKey) -> LogKey:
        return cls(VerifierKey(name, private.public_key().public_bytes_raw()), private)


def is_ed25519_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is that of `public` over `message` (RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
