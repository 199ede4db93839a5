"""The seam to where an issuer's keys come from, and the simplest source: keys that never change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from authz_service.errors import Unauthenticated, Unavailable
from authz_service.identity.keys import VerifyingKey, select

LONGEST_OUTAGE = 86_400.0
"""How long keys are relied on while their source is away, unless it is configured, in seconds."""


class KeySource(Protocol):
    """Where the keys of one issuer come from."""

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        """The key that a token with this header was signed with.

        Raises `Unauthenticated` (unknown_key) when there is none, or several and no way to choose,
        and `Unavailable` when the keys cannot be had.
        """
        ...

    async def successor(self, key: VerifyingKey, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """What took the place of a key with which a signature was not good; None as far as is known."""
        ...

    def has(self, key: VerifyingKey) -> bool:
        """Whether the issuer still stands by this very key, as far as is known without waiting."""
        ...

    async def stands_by(self, digest: str) -> bool:
        """Whether the issuer still has the key with this digest; raises `Unavailable` as `find` does."""
        ...

    async def warm(self) -> None:
        """Get the keys before the first token needs them; raises `Unavailable` when that fails."""
        ...

    async def close(self) -> None:
        """End what runs in the background."""
        ...


class FixedKeys:
    """Keys that are given once; the embedded issuer's, and those of tests."""

    def __init__(self, *keys: VerifyingKey) -> None:
        self._keys = keys

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        return only_key(self._keys, kid, algorithm)

    async def successor(self, key: VerifyingKey, kid: str | None, algorithm: str) -> VerifyingKey | None:
        return None

    def has(self, key: VerifyingKey) -> bool:
        return key in self._keys

    async def stands_by(self, digest: str) -> bool:
        return any(key.digest == digest for key in self._keys)

    async def warm(self) -> None:
        """Nothing to get."""

    async def close(self) -> None:
        """Nothing to end."""


def only_key(keys: Iterable[VerifyingKey], kid: str | None, algorithm: str) -> VerifyingKey:
    """The one key that fits; raises `Unauthenticated` for none or several."""
    found = select(keys, kid, algorithm)
    if len(found) != 1:
        raise unknown_key()
    return found[0]


def unknown_key() -> Unauthenticated:
    """The refusal of a token whose key the issuer does not publish."""
    return Unauthenticated("the token is signed with a key that its issuer does not have", code="unknown_key")


def no_keys() -> Unavailable:
    """The refusal while an issuer's keys have never been had, or are too old to rely on."""
    return Unavailable("the keys of the token's issuer cannot be had at the moment; try again shortly")
