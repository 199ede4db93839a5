"""Pseudonyms: entries of the record name people by a keyed hash, so that they hold no personal data."""

from __future__ import annotations

import hmac

_PURPOSE = b"authz pseudonym 1"


class Pseudonyms:
    """Turns identities into pseudonyms. Without the key they can be neither reversed nor guessed."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"a pseudonym key needs at least 32 bytes, got {len(key)}")
        self._key = hmac.digest(key, _PURPOSE, "sha256")

    def of(self, identity: tuple[str, str]) -> str:
        """The pseudonym (32 hexadecimal digits) of a `Caller.identity`; always the same for the same."""
        # Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") stay two people.
        parts = [part.encode("utf-8", "surrogatepass") for part in identity]
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, message, "sha256")[:16].hex()
