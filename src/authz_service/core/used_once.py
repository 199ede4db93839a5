"""What may be used once, on whatever replica: an assertion, a login that has begun, a code."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from authz_service.audit.draft import EntryDraft

USED: Final = "used"
UNTIL: Final = "until"
"""The members of an entry's data by which `OnceStore` and whoever verifies the record know what was used."""


def once(kind: str, *names: str) -> str:
    """The digest of something that may be used once; of different things it never is the same."""
    told = "".join(f"{len(name)}:{name}" for name in (kind, *names))
    return hashlib.sha256(told.encode()).hexdigest()


class OnceStore(Protocol):
    """Durable, shared by all replicas, and committed with its entry."""

    async def use_once(self, entry: EntryDraft) -> None:
        """Use what `used` in the entry's data lists, all of it for the first time, and record the entry.

        It is remembered until `until` (whole seconds since the epoch). Raises `Conflict` (already_used)
        where some of it was used before, and nothing is recorded then.
        """
        ...
