"""What is asked of the store. Times are seconds since the epoch, by its clock."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft
from authz_service.core.ballots import Ballot
from authz_service.core.kept import KeptStore
from authz_service.core.limits import Admission, Demand
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Opening
from authz_service.core.pages import Page
from authz_service.core.sessions import SessionStore
from authz_service.core.stored_holds import (
    Hold,
    HoldChange,
    HoldDraft,
    HoldLimits,
    HoldQuery,
    HoldsNow,
    HoldState,
    HoldSummary,
)
from authz_service.errors import AuthzError, Unavailable

DAMAGED = "record_damaged"
"""The code of the `Unavailable` for what is stored and is not what was stored."""
BEGUN_BEFORE = "begun_before"
"""The code of the `Conflict` by which a store refuses the first entry of an exchange that it has already."""


class Store(SessionStore, KeptStore, Protocol):
    """Durable state. Every method returns after its transaction is committed.

    Raises `Unavailable` when the database is full, locked or away: nothing was committed then, or it
    is not known whether it was, and the caller must release nothing.
    """

    def admit(self, demand: Demand, draft: EntryDraft) -> Awaitable[Admission]:
        """Count a request, recording the entry it begins with, unless one of its limits is reached.

        Nothing is recorded then. A session with the status `limited` does not count.
        """
        ...

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        """Open a hold, or find the open or lately rejected one of the same person and fingerprint.

        A pending or approved hold with other `changes` or other approvals is superseded by the new one.
        A new hold links to the last one of the same person and fingerprint, whatever became of it.
        Where a grant covers the request, it is released at once instead; a hold of it that pends is
        superseded then. An approval that is there is used before a grant, and a late rejection stands.
        Raises `Conflict` as `consume` does.
        """
        ...

    async def attach_answer(self, wanted: AnswerWanted) -> Attached | AlreadyRejected | None:
        """Find the open or lately withheld answer to the same person's same request.

        None, and nothing recorded, where there is none: then the model is to be asked. Raises `Conflict` as
        `open_hold` does.
        """
        ...

    async def hold(self, hold_id: str) -> Hold | None:
        """A hold as it stands now, with its bytes; an overdue one reads as expired, swept or not."""
        ...

    async def summaries(self, holds: Collection[str]) -> Mapping[str, HoldSummary | Unavailable]:
        """These holds as they stand now, by id; absent where there is no such hold.

        In the place of one that cannot be read any more there is why (`record_damaged`).
        """
        ...

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        """These holds with their bytes, of one moment; raises `Unavailable` where one's were altered."""
        ...

    async def held_bytes(self, holds: Collection[str]) -> Mapping[str, bytes]:
        """What these hold, by id; absent where that is gone. Raises `Unavailable` where it was altered."""
        ...

    async def vote(self, ballot: Ballot, limits: HoldLimits) -> HoldSummary:
        """Add a vote and apply its outcome, in one compare-and-set with its entries.

        Raises `NotFound`; `Forbidden` for the requester and for who may vote in no open stage;
        `Conflict` when the hold is decided, overdue, or the digest is not the one shown, or the
        person has voted in this stage already. The conflict says who decided what.
        """
        ...

    async def vote_all(
        self, ballots: Sequence[Ballot], limits: HoldLimits
    ) -> Sequence[HoldSummary | AuthzError]:
        """Add votes on as many holds in one transaction; for each the hold, or what `vote` would raise.

        A refused vote keeps no other from counting. Raises `Unavailable` where nothing was committed.
        """
        ...

    async def act(self, draft: ActDraft, limits: HoldLimits) -> HoldSummary:
        """Do what a reviewer does beside voting, in one compare-and-set with its entry.

        Raises `NotFound`; `Forbidden` for the requester's claim, and for a review by the requester or by
        whom it is about; `Conflict` when somebody else has claimed the hold, when it is too late, or when
        there is nothing to take back or to review.
        """
        ...

    async def act_with_key(self, hold_id: str, person: tuple[str, str], key: str) -> Act | None:
        """What this person did to the hold with that idempotency key."""
        ...

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        """Release an approved hold to `session`, once, recording `entries` in the same transaction.

        False when it is not approved (any more), its time of use is over, its bytes are others, or
        another exchange consumed it; nothing is recorded then. Raises `Conflict` when another process has
        taken `session` up (`taken_up`), or an operator has ended it (`session_killed`).
        """
        ...

    async def settle(self, *drafts: EntryDraft, hold: str, session: str) -> None:
        """As `append_again`, of what the rules have made of `session`, which has waited for `hold`.

        If that pends and no other exchange waits for it, it is superseded by the session in the same
        transaction: nobody is asked about what nobody may send, or may send without being asked about.
        So is one that is approved where the request was let through: the approval is for one run. Where the
        request was refused it stays, since what refused it may pass.
        Raises `Conflict`, with nothing recorded, where another process has the session (`taken_up`), or an
        operator has ended what would be let through (`session_killed`); a refusal of that goes on record.
        """
        ...

    async def expire_overdue(self) -> int:
        """Sweep: give overdue holds their final state and entry, and stages their turns; how many of both."""
        ...

    async def hold_changes(self, after: int) -> Sequence[HoldChange]:
        """Changes of holds with a cursor above `after`, oldest first (at most 1,000)."""
        ...

    async def hold_states(self, holds: Collection[str]) -> Mapping[str, HoldState]:
        """The state of each of these holds, without what it holds; absent where there is no such hold."""
        ...

    async def waiting_for(self, holds: Collection[str]) -> Mapping[str, int]:
        """How many exchanges wait for each of these holds, in all processes; absent where none does."""
        ...

    async def holds(self, query: HoldQuery) -> Page[HoldSummary]:
        """Holds by filter, newest first; raises `Unreadable` for a foreign page token."""
        ...
