"""What is asked of the store about exchanges that still run: what is new, and which are to end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_service.audit.draft import EntryDraft
from authz_service.core.sessions import Entry, Session


@dataclass(frozen=True, slots=True)
class ToEnd:
    """A session that an operator ended, and why; whichever gateway has it cuts it off."""

    session: str
    reason: str


class LiveSessions(Protocol):
    """Durable, and shared by all replicas."""

    async def kill(self, session_id: str, entry: EntryDraft) -> Session:
        """Mark a session that has not ended as to be ended, with its entry; again is an entry more.

        The hold that it waits in ends in the same transaction, unless others wait in it too.

        Raises `NotFound`, and `Conflict` (`session_ended`) with nothing recorded.
        """
        ...

    async def to_end(self, running: Collection[str]) -> Sequence[ToEnd]:
        """Those of these sessions that are marked and have not ended, at most 100."""
        ...

    async def last_sequence(self) -> int:
        """The number of the last committed entry."""
        ...

    async def entries_after(self, sequence: int, session: str = "") -> Sequence[Entry]:
        """The next entries, oldest first, at most 200; with payloads only those of a named session."""
        ...
