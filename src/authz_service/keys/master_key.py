"""The master key: it wraps the keys of subjects, so that their database alone opens nothing."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authz_service.errors import Misconfigured
from authz_service.keys.files import load, load_or_create

KEY_BYTES = 32
NONCE_BYTES = 12
HOW_TO_MAKE = "openssl rand -hex 32"

_DIGITS = re.compile(rb"[0-9a-fA-F]{64}")


class WrongKey(Exception):
    """What was to be unwrapped was wrapped by another key, for another purpose, or was altered."""


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    """32 bytes, and `source`, which says where they came from; they show nowhere."""

    source: str
    _key: bytes

    def wrap(self, secret: bytes, *, purpose: str) -> bytes:
        """AES-256-GCM with a random nonce, which goes before it (NIST SP 800-38D 8.2.2)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, secret, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """The inverse of `wrap`; raises `WrongKey`."""
        try:
            nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return AESGCM(self._key).decrypt(nonce, sealed, purpose.encode())
        except (InvalidTag, ValueError):
            raise WrongKey from None

    def __repr__(self) -> str:
        return f"MasterKey({self.source})"


def master_key_from_file(path: Path, *, may_create: bool = False) -> MasterKey:
    """The key in `path`, as 64 hexadecimal digits; with `may_create` a missing one is made (0600).

    Raises `Misconfigured` for a file that is missing, no key, or that others may read.
    """
    content = load_or_create(path, _new_key) if may_create else load(path)
    if content is None:
        raise Misconfigured(
            f"the record's master key {path} is missing, without which nothing on record can be read;"
            " restore it from a backup, or name where it is in record.keys.master"
        )
    return _read(content, f"the file {path}")


def master_key_from_environment(name: str, environment: Mapping[str, str] = os.environ) -> MasterKey:
    """The key in an environment variable, as 64 hexadecimal digits; raises `Misconfigured`."""
    if not environment.get(name):
        raise Misconfigured(f"set {name} to the record's master key (a new one: {HOW_TO_MAKE})")
    return _read(environment[name].encode(), f"the environment variable {name}")


def _new_key() -> bytes:
    return secrets.token_hex(KEY_BYTES).encode() + b"\n"


def _read(content: bytes, source: str) -> MasterKey:
    digits = content.strip()
    if not _DIGITS.fullmatch(digits):
        raise Misconfigured(f"{source} is no master key: 64 hexadecimal digits, as of `{HOW_TO_MAKE}`")
    return MasterKey(source, bytes.fromhex(digits.decode()))
