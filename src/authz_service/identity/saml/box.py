"""What only replicas with the same key can open: the state of a login while it is elsewhere."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE: Final = 12


def derived(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose; raises `ValueError` for a secret of fewer than 32."""
    if len(secret) < 32:
        raise ValueError(f"logins are sealed with at least 32 bytes, got {len(secret)}")
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret)


class Box:
    """Seals with AES-256-GCM; what is opened was sealed for the same purpose.

    Texts are base64url, and thus fit for URLs and, behind a letter or `_`, for XML's IDs.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(derived(secret, b"authz saml box 1"))

    def seal(self, purpose: str, content: bytes) -> str:
        """A text that is another at each call, even for the same content."""
        nonce = os.urandom(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, content, purpose.encode())
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, purpose: str, text: str) -> bytes | None:
        """What was sealed; None for anything else."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(sealed).rstrip(b"=") != text.encode():
                return None  # another writing of the same: what was used is known by its text
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except (InvalidTag, binascii.Error, ValueError):
            return None
