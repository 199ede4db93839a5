"""Exchanges as the record has them, and what is asked of the store about them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from authz_service.audit.draft import EntryDraft
from authz_service.core.pages import Page
from authz_service.view.caller import Caller

SESSION_IDS = "ses_"
"""What the ids of sessions begin with, and those of nothing else."""


@dataclass(frozen=True, slots=True)
class Session:
    """The query columns of one exchange's record, all derived from its entries.

    Of one that `is_damaged` the caller, or (`DAMAGED_STATUS`) anything, cannot be read any more.
    """

    id: str
    caller: Caller | None
    api: str
    method: str
    path: str
    model: str
    decision: str
    rule: str
    hold: str | None
    status: str
    started_at: float
    ended_at: float | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Filters of a list of sessions, newest first; empty means any. `caller` is a subject.

    `group` is one of the caller's, `entity` a type that was found, `reviewer` the subject or name of who
    voted; it began at `since` or later and before `until` (seconds since the epoch); `text` are words and
    "phrases in quotes" that all occur in what was asked, or in what was answered, as it crossed.
    """

    id_prefix: str = ""
    caller: str = ""
    model: str = ""
    decision: str = ""
    status: str = ""
    rule: str = ""
    group: str = ""
    entity: str = ""
    reviewer: str = ""
    since: float | None = None
    until: float | None = None
    text: str = ""
    page_size: int = 50
    page_token: str = ""


DAMAGED_ENTRY = "damaged"
"""The kind of an entry that is not as it was recorded: what it says is not shown, and is not believed."""
DAMAGED_WHY = "damaged: not as it was recorded; run: authz audit verify"
"""Why such an entry, or such a payload, is missing."""
DAMAGED_STATUS = "damaged"
"""The status of a session whose columns cannot be read: nothing else of them is shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed entry with its payloads; `body` is its canonical bytes, the record itself.

    `missing` says of each payload that cannot be read any more why that is. One that is `DAMAGED_ENTRY` has
    the bytes that are there, no data, and says of `entry` itself that it is damaged; its time is another's.
    """

    sequence: int
    kind: str
    at: float
    session: str | None
    data: Mapping[str, object]
    payloads: Mapping[str, bytes]
    body: bytes
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakenUp:
    """An exchange that came again: is anything of it on record, and does this process have it now?

    `hold` is what it waited for last; "" where it is not ours. With `is_killed` an operator has ended it,
    whether or not the process that had it came to do so.
    """

    is_recorded: bool
    is_ours: bool
    hold: str = ""
    is_killed: bool = False


class SessionStore(Protocol):
    """Durable. Every method returns after its transaction is committed, or raises what `Store` raises."""

    def append(self, *drafts: EntryDraft) -> Awaitable[None]:
        """Record entries, in order, in one transaction; its turn is by when this was called."""
        ...

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
        """As `append`, of what was not recorded in time: another process may have the session by now, or
        another stream of this one.

        `stream` says it: the name that it took the session up by, "" the one that began it, None no matter
        which. Raises `Conflict` (`taken_up`) where another has it by the record, and nothing is recorded:
        how it ends is for that one to say. Where it has an end on record, of whose commit nobody was told,
        the very same drafts are not recorded twice, nor is another end without a refusal. `again`: somebody
        else had it before, as in `append_again`.
        """
        ...

    async def append_again(self, *drafts: EntryDraft) -> None:
        """As `append`, of an exchange that came again: its end is left out where it has one on record.

        Whoever had it before may have recorded that meanwhile, and so may who refuses it here.
        """
        ...

    async def sessions(self, query: SessionQuery) -> Page[Session]:
        """Sessions by filter, newest first."""
        ...

    async def session(self, session_id: str) -> Session | None:
        """One session's columns."""
        ...

    async def entries(self, session_id: str) -> Sequence[Entry]:
        """A session's entries in order, with their payloads."""
        ...

    async def last_sequence(self) -> int:
        """The number of the last entry: no change of a hold that is there to be seen has a cursor above."""
        ...

    async def recover(self) -> int:
        """After a crash: an entry for every session of this instance that never ended; how many.

        The entry says what is known (released or not) and that the rest is not.
        """
        ...

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        """Make an exchange that waited in another process, or on an earlier stream of this one, that of
        `stream`, with an entry, if it was held; the name is used once.

        Not one of which anything was released, that was refused, or of which an entry is damaged. From then
        on the other process can release nothing of it, and the other stream say no end.
        """
        ...

    async def now(self) -> float:
        """The database's clock, never behind the last committed entry."""
        ...
