"""Tokens that count no longer, although nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from authz_service.audit.draft import EntryDraft


class RevokedBy(StrEnum):
    """What names the tokens: the id of one (`jti`), or the subject of all of somebody's."""

    TOKEN = "jti"  # noqa: S105 - a claim's name
    SUBJECT = "sub"


@dataclass(frozen=True, slots=True)
class Revoked:
    """Which tokens: those of `issuer` whose claim `by` has this value."""

    issuer: str
    by: RevokedBy
    value: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens that are refused until `until` (seconds since the epoch; None: until that is lifted).

    `pseudonym` is that of whose tokens they are, where all of a subject's are withdrawn and the store has
    said so. Once that person was erased it alone tells whose they are: `what.value` and `reason` are "" then.
    Of one that `is_damaged` nobody can tell which tokens it is about, perhaps not even of which issuer (""):
    it is known by the `entry` that made it.
    """

    what: Revoked
    until: float | None
    reason: str
    name: str
    at: float
    pseudonym: str = ""
    entry: int = field(default=0, compare=False)
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class RevocationsRead:
    """All that are in force. `version` changes whenever they do."""

    version: str
    items: tuple[Revocation, ...]


class RevocationStore(Protocol):
    """Durable revocations, shared by all replicas; each change is committed with its entry."""

    async def revoke(self, revocation: Revocation, entry: EntryDraft) -> None:
        """Add one, or replace that of the same tokens; `at` is set by the database's clock."""
        ...

    async def restore(self, what: Revoked, entry: EntryDraft) -> bool:
        """Lift one; False, with nothing recorded, when there is none. A pseudonym names a subject too."""
        ...

    async def revocations(self, known: str = "") -> RevocationsRead | None:
        """What is in force, newest first; None while the version is the one that is `known`."""
        ...


def in_order(items: Sequence[Revocation]) -> tuple[Revocation, ...]:
    """Newest first."""
    return tuple(sorted(items, key=lambda item: (-item.at, item.what.issuer, item.what.value)))
