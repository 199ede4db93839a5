"""Remembers which texts were scanned and had no finding: conversations come again with every turn."""

from __future__ import annotations

from hashlib import sha256

MOST_REMEMBERED = 16_384
"""Texts in each of two generations, some 4 MiB together."""


class CleanTexts:
    """Digests of texts, the latest ones; threads may share it. No text is kept, and none with a finding."""

    __slots__ = ("_most", "_new", "_old")

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def has(self, digest: bytes) -> bool:
        """Whether the text with this digest is known to have no finding."""
        if digest in self._new:
            return True
        if digest in self._old:
            self.add(digest)
            return True
        return False

    def add(self, digest: bytes) -> None:
        """Remember a text; those that nobody asked for since `most` others came are forgotten."""
        if len(self._new) >= self._most:
            self._old, self._new = self._new, set()
        self._new.add(digest)


def digest_of(text: str) -> bytes:
    """No two texts with one digest can be made: none passes for another that was scanned."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
