"""Seals payloads: AES-256-GCM, with a key for each that is derived from its subject's.

A random seed lies beside each sealed payload. From the subject's key and the seed come the payload's
key and the salt of its digest (keyed BLAKE2b, RFC 7693), so that whoever destroys the subject's key takes
the salt away too, and digests can no longer be guessed back.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from authz_service.audit.entry import payload_digest

SEED_BYTES = 32
SUBJECT_KEY_BYTES = 32

_PURPOSE = b"authz payload 1"  # at most 16 bytes
# Each key encrypts one payload, once (NIST SP 800-38D 8.3 asks for unique pairs of key and nonce).
_NONCE = bytes(12)


class Altered(Exception):
    """The sealed bytes, their seed or their digest are not those that were stored."""


class Opened(NamedTuple):
    """A payload, and the salt of its digest."""

    salt: bytes
    body: bytes


def seal(key: bytes, seed: bytes, body: bytes) -> tuple[bytes, bytes]:
    """The digest of `body` (as entries carry it) and its sealed bytes, 16 longer than it."""
    payload_key, salt = _derive(key, seed)
    digest = payload_digest(salt, body)
    return digest, AESGCM(payload_key).encrypt(_NONCE, body, digest)


def unseal(key: bytes, seed: bytes, digest: bytes, sealed: bytes) -> Opened:
    """The inverse of `seal`; raises `Altered`."""
    try:
        payload_key, salt = _derive(key, seed)
        return Opened(salt, AESGCM(payload_key).decrypt(_NONCE, sealed, digest))
    except (InvalidTag, ValueError):
        raise Altered from None


def _derive(key: bytes, seed: bytes) -> tuple[bytes, bytes]:
    if len(key) != SUBJECT_KEY_BYTES or len(seed) != SEED_BYTES:
        raise ValueError(f"a subject's key and a seed have {SEED_BYTES} bytes")
    # HMAC of the standard library takes four times as many instructions, which every payload would pay.
    derived = blake2b(seed, key=key, person=_PURPOSE).digest()
    return derived[:32], derived[32:]
