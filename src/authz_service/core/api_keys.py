"""API keys of our own, for applications that can hold nothing but a fixed string."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from authz_service.audit.draft import EntryDraft


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, of which only a keyed hash is kept. Times are seconds since the epoch.

    `name` is the caller's subject; a key that was rotated shares it with the one that it `replaces`, and
    with no other that ever was. `owner` is the person who answers for it, `scope` the words of what it may
    ask for, `by` who made it. `used_at` is when the last session on record began with it.
    One that `is_damaged` has only what of it can be read, and counts no more.
    """

    id: str
    hash: bytes = field(repr=False)
    name: str
    owner: str
    groups: tuple[str, ...]
    scope: tuple[str, ...]
    created_at: float
    expires_at: float
    by: str
    replaces: str | None = None
    revoked_at: float | None = None
    revoked_by: str = ""
    reason: str = ""
    used_at: float | None = None
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class KeysRead:
    """The keys that were made or changed since another version, and the version that they make."""

    version: int
    items: tuple[ApiKey, ...]


class ApiKeyStore(Protocol):
    """Durable keys, shared by all replicas; each change is committed with its entry."""

    async def create_key(self, key: ApiKey, entry: EntryDraft) -> ApiKey:
        """Add one, as of now; raises `Conflict` when another ever had its name."""
        ...

    async def rotate_key(self, key: ApiKey, entry: EntryDraft, *, until: float) -> ApiKey:
        """Add `key`, and have the one that it `replaces` end at `until`, if not before.

        Raises `Conflict` when that one has ended, or was rotated before.
        """
        ...

    async def revoke_key(self, key_id: str, entry: EntryDraft) -> ApiKey:
        """End one now; raises `Conflict` when it is revoked already, `NotFound` when there is none."""
        ...

    async def changed_keys(self, after: int = 0) -> KeysRead | None:
        """The keys that changed after a version, ended ones too; None when none did. 0: all."""
        ...

    async def api_keys(self) -> tuple[ApiKey, ...]:
        """All there ever were, newest first, with their last use."""
        ...
