"""Letting go of what is on record: by policy, by hand, for one person; and keeping in spite of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_service.audit.forgotten import Keep
from authz_service.audit.retention import Retention


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants it, and why; both go on record as a payload.

    `identity` is theirs where the review API verified it: the payload is sealed under their key, and the
    entry has their pseudonym. None for whoever runs a command on the machine itself.
    """

    by: str
    reason: str
    identity: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """Take what is of one class from sessions that ended before a time (microseconds since the epoch).

    `policy` is what the tombstone says it was done by; `order` whoever wanted it by hand.
    """

    retention: Retention
    before: int
    policy: str
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took, or would take; `has_more` until it has come to its end."""

    entries: int = 0
    payloads: int = 0
    size: int = 0
    has_more: bool = False

    def __add__(self, other: Purged) -> Purged:
        """Both, with more to come if the second has more."""
        return Purged(
            self.entries + other.entries,
            self.payloads + other.payloads,
            self.size + other.size,
            other.has_more,
        )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom the record knows: by pseudonym, and as tokens named them."""

    pseudonym: str
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: how many sessions, payloads and votes, and the ids of the keys.

    `damaged` says what could not be read: entries of theirs, of which the payloads are lost with their keys,
    and what is about somebody else by the entries of the record.
    """

    sessions: int
    payloads: int
    votes: int
    keys: tuple[str, ...]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A legal hold, and who placed it and why ("" where that cannot be read)."""

    keep: Keep
    order: Order


class ForgettingStore(Protocol):
    """Each change is committed with the entry that accounts for it. All raise `Unavailable`."""

    async def purge(self, request: PurgeRequest) -> Purged:
        """One batch, the oldest first."""
        ...

    async def purge_preview(self, request: PurgeRequest) -> Purged:
        """What all batches together would take; nothing is changed."""
        ...

    async def people(self, name: str) -> Sequence[Person]:
        """Whom a subject, a verified person or a pseudonym names."""
        ...

    async def erase(self, pseudonym: str, order: Order) -> Erased:
        """Destroy the keys of one person, then take what is left of them.

        Raises `Conflict` while something of theirs is kept, open or held. It goes on when whoever awaits it
        leaves; what a crash or a fault interrupts is completed by the two methods below.
        """
        ...

    async def resume_erasures(self) -> int:
        """At a start: complete erasures that were ordered, and repeat those whose keys came back; how many.

        What a legal hold is on since the order waits until that is lifted.
        """
        ...

    async def complete_erasures(self) -> int:
        """While the service runs: complete those that were ordered minutes ago and are not done; how many."""
        ...

    async def keep(self, *, session: str | None, subject: str | None, order: Order) -> Keep:
        """Place a legal hold; raises `NotFound` for a session that is not there."""
        ...

    async def lift(self, keep_id: str, order: Order) -> None:
        """Lift one; raises `NotFound`."""
        ...

    async def keeps(self) -> Sequence[Kept]:
        """All in force, the oldest first."""
        ...
