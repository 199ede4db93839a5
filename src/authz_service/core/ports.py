"""Holds as the store has them, and what is asked of it. Times are seconds since the epoch, by its clock."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft, ActKind, AnswerHead, Review
from authz_service.core.ballots import Ballot
from authz_service.core.business_hours import Zones
from authz_service.core.grants import GRANT_IDS, Traits
from authz_service.core.holds import Approval, StageRef, Timed, Vote
from authz_service.core.kept import KeptStore
from authz_service.core.limits import Admission, Demand, LimitReached, Quota
from authz_service.core.pages import Page
from authz_service.core.sessions import SessionStore
from authz_service.errors import AuthzError, Unavailable
from authz_service.view.caller import Caller

DAMAGED = "record_damaged"
"""The code of the `Unavailable` for what is stored and is not what was stored."""

BEGUN_BEFORE = "begun_before"
"""The code of the `Conflict` by which a store refuses the first entry of an exchange that it has already."""


class HoldState(StrEnum):
    """PENDING and APPROVED are open: at most one such hold exists for a person and fingerprint."""

    PENDING = "pending"
    APPROVED = "approved"
    RELEASED = "released"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class HoldDraft:
    """A request that is to wait, or with `answer` the whole answer to one.

    `forward` are the bytes that reviewers see and that will go out.
    `fingerprint` (hex SHA-256) recognises the same request, and with `changes` (the same) the same
    bytes to forward, whatever their noise; `digest` (hex SHA-256) is that of
    `forward`. `entries` are recorded in the transaction that opens the hold, or attaches to one.
    It takes the place of the hold `replaces`, as that of other bytes, whatever else is the same.
    With its `traits` a grant may cover it: `release` is recorded then, in place of a hold. `quotas` are those
    of its session, which may say how many holds pend at once.
    """

    id: str
    session: str
    caller: Caller
    fingerprint: str
    changes: str
    digest: str
    forward: bytes
    api: str
    operation: str
    model: str
    rule: str
    reason: str
    policy: str
    approvals: tuple[Approval, ...]
    findings: Mapping[str, int] = field(default_factory=dict)
    previous: str | None = None
    entries: tuple[EntryDraft, ...] = ()
    answer: AnswerHead | None = None
    replaces: str | None = None
    source: str = ""
    traits: Traits | None = None
    release: EntryDraft | None = None
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldSummary:
    """All of a hold but the bytes that it holds, which have `digest` and `size`.

    `deadline` is when it ends by itself in its present state. While pending that is the open stages'
    deadline, while approved the end of `use_within`, and for a rejected hold the time until which it
    answers the same request. `turns` are those of the open stages, past and to come,
    `counted` the ids of the votes that count in them so far. `review` says whether somebody has to look at
    a decision that was made alone, `zones` are the rules of the stages' time zones. `was_answered` says
    that it was opened for an answer of the model's. `superseded_by` is the id of the hold, or the grant, that
    took its place; "" for one that is in another state, and where the record has let go of it.
    """

    id: str
    session: str
    caller: Caller
    fingerprint: str
    changes: str
    digest: str
    size: int
    api: str
    operation: str
    model: str
    rule: str
    reason: str
    policy: str
    approvals: tuple[Approval, ...]
    findings: Mapping[str, int]
    previous: str | None
    state: HoldState
    version: int
    created_at: float
    deadline: float
    votes: tuple[Vote, ...] = ()
    released_to: str | None = None
    open_stages: tuple[StageRef, ...] = ()
    answer: AnswerHead | None = None
    turns: tuple[Timed, ...] = ()
    counted: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()
    claim: Act | None = None
    is_due_soon: bool = False
    review: Review = Review.NONE
    zones: Zones = field(default_factory=dict)
    source: str = ""
    traits: Traits | None = None
    was_answered: bool = False
    superseded_by: str = ""

    @property
    def is_under_grant(self) -> bool:
        """A grant took its place: the same request, judged anew, may go through."""
        return self.superseded_by.startswith(GRANT_IDS)

    @property
    def is_answer(self) -> bool:
        """The model has answered; that waits, edited or not, or a reviewer's answer in its place."""
        return self.answer is not None and (self.was_answered or not self.is_response)

    @property
    def revisions(self) -> tuple[Act, ...]:
        """What reviewers made of the bytes that wait, in order; the votes before the last are void."""
        return tuple(act for act in self.acts if act.revised is not None)

    @property
    def is_edited(self) -> bool:
        """What goes out is what a reviewer made of the request, or of the model's answer."""
        return bool(self.revisions) and not self.is_response

    @property
    def is_response(self) -> bool:
        """The answer is a reviewer's, and the model is not asked."""
        revisions = self.revisions
        return bool(revisions) and revisions[-1].kind is ActKind.RESPOND


@dataclass(frozen=True, slots=True)
class Hold(HoldSummary):
    """A hold with its bytes. With `answer`, `forward` goes to the caller, not to the model."""

    forward: bytes = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class HoldsNow:
    """Holds by id, and the store's clock `at` which they read so."""

    holds: Mapping[str, Hold]
    at: float


@dataclass(frozen=True, slots=True)
class AnswerWanted:
    """The request of `session`, whose answer may be there already; `entries` are recorded if it is.

    `fingerprint` is that of the answer's hold, `changes` that of the request.
    """

    session: str
    caller: Caller
    fingerprint: str
    changes: str
    entries: tuple[EntryDraft, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A new hold was opened."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class Attached:
    """The same person's same request is open already; its hold is pending or approved."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class AlreadyRejected:
    """The same request was rejected a short while ago; that answer still stands."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class TooManyHolds:
    """The caller has as many pending holds as the configuration allows."""

    limit: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant covers the request: its release is on record, and one of the grant's uses is spent."""

    grant: str


Opening = Opened | Attached | AlreadyRejected | TooManyHolds | LimitReached | Granted


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """`pending_per_caller` holds at most; an approval is good for `use_within` seconds.

    A rejection answers the same request for `rejection_answers` seconds, a claim lasts `claim`.
    """

    pending_per_caller: int = 20
    use_within: float = 900.0
    rejection_answers: float = 600.0
    claim: float = 900.0


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold changed; `cursor` orders changes and is what to ask on from."""

    cursor: int
    hold: str
    state: HoldState


@dataclass(frozen=True, slots=True)
class HoldQuery:
    """Filters of a list of holds, newest first; empty means any. `caller` is a subject."""

    states: tuple[HoldState, ...] = ()
    id_prefix: str = ""
    caller: str = ""
    model: str = ""
    rule: str = ""
    review: Review | None = None
    page_size: int = 50
    page_token: str = ""


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
        Raises `Conflict` (`taken_up`) as `consume` does.
        """
        ...

    async def attach_answer(self, wanted: AnswerWanted) -> Attached | AlreadyRejected | None:
        """Find the open or lately withheld answer to the same person's same request.

        None, and nothing recorded, where there is none: then the model is to be asked.
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
        another exchange consumed it; nothing is recorded then. Raises `Conflict` (`taken_up`) when another
        process has taken `session` up.
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
