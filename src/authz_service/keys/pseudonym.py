"""Pseudonyms: entries of the record name people by a keyed hash, so that they hold no personal data."""

from __future__ import annotations

import hmac

MOST_REMEMBERED = 10_000
_PURPOSE = b"authz pseudonym 1"


class Pseudonyms:
    """Turns identities into pseudonyms. Without the key they can be neither reversed nor guessed."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"a pseudonym key needs at least 32 bytes, got {len(key)}")
        self._key = hmac.digest(key, _PURPOSE, "sha256")
        self._known: dict[tuple[str, str], str] = {}

    def of(self, identity: tuple[str, str]) -> str:
        """The pseudonym (32 hexadecimal digits) of a `Caller.identity`; always the same for the same."""
        known = self._known.get(identity)
        if known is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[identity] = known = self._made(identity)
        return known

    def _made(self, identity: tuple[str, str]) -> str:
        # Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") stay two people.
        parts = [part.encode("utf-8", "surrogatepass") for part in identity]
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, message, "sha256")[:16].hex()
