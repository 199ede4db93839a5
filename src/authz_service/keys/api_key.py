"""API keys of our own: how one is made and told apart, and the keyed hash by which alone it is kept.

`authz_key_`, 37 characters of base 62 (220 bits) and six of a checksum, which tells a key that was copied in
part from one that is not known. The detector AUTHZ_KEY finds them in texts.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "authz_key_"
RANDOM_LENGTH: Final = 37
CHECKSUM_LENGTH: Final = 6  # 62^6 is more than 2^32

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")
_PURPOSE = b"authz api key 1"


def new_api_key() -> str:
    """A key that nobody has."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def is_whole(text: str) -> bool:
    """Whether this has the form of a key, and its checksum."""
    body = text[:-CHECKSUM_LENGTH]
    return _FORM.fullmatch(text) is not None and _checksum(body) == text[-CHECKSUM_LENGTH:]


class ApiKeyHashes:
    """Hashes keys with a key of the data directory: what the database has cannot even be tried out."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"API keys are hashed with at least 32 bytes, got {len(key)}")
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def of(self, text: str) -> bytes:
        """32 bytes. Keys have 220 random bits, so that no slow hash is needed."""
        return hmac.digest(self._key, text.encode(), "sha256")


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
