"""What the core asks of the outside: the store. Times are seconds since the epoch, by its clock."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft, ActKind, AnswerHead, Review
from authz_service.core.business_hours import Zones
from authz_service.core.grants import GRANT_IDS, Traits
from authz_service.core.holds import Approval, StageRef, Timed, Verdict, Vote
from authz_service.core.kept import KeptStore
from authz_service.core.limits import Admission, Demand, LimitReached, Quota
from authz_service.errors import AuthzError
from authz_service.view.caller import Caller

Item = TypeVar("Item")

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
class Ballot:
    """A vote to be cast. `may_vote_in` are the stages whose condition the reviewer satisfies.

    `digest` is that of the bytes the reviewer was shown. The same `idempotency_key` of the same
    voter is one vote: sent again, it yields the hold as it stands. `account` is the reviewer's
    (issuer, subject) where `voter` is a person's: one account never counts as two people, nor as
    another than the requester, because one of its tokens lacked the person claim. `owners` are who answers
    for it, where it is a service's (see `owners_of`): with these it is one person. One with
    `is_break_glass` decides alone, in no stage, and has to be reviewed afterwards.
    """

    hold: str
    voter: tuple[str, str]
    name: str
    verdict: Verdict
    digest: str
    may_vote_in: tuple[StageRef, ...]
    reason: str = ""
    idempotency_key: str = ""
    account: tuple[str, str] | None = None
    is_break_glass: bool = False
    owners: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold changed; `cursor` orders changes and is what to ask on from."""

    cursor: int
    hold: str
    state: HoldState


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the token of the next one ("" on the last)."""

    items: tuple[Item, ...]
    next_page_token: str = ""


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


@dataclass(frozen=True, slots=True)
class Session:
    """The query columns of one exchange's record, all derived from its entries."""

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


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed entry with its payloads; `body` is its canonical bytes, the record itself.

    `missing` says of each payload that cannot be read any more why that is.
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


@dataclass(frozen=True, slots=True)
class TakenUp:
    """An exchange that came again: is anything of it on record, and does this process have it now?"""

    is_recorded: bool
    is_ours: bool


class Store(KeptStore, Protocol):
    """Durable state. Every method returns after its transaction is committed.

    Raises `Unavailable` when the database is full, locked or away: nothing was committed then, or it
    is not known whether it was, and the caller must release nothing.
    """

    def append(self, *drafts: EntryDraft) -> Awaitable[None]:
        """Record entries, in order, in one transaction; its turn is by when this was called."""
        ...

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "") -> None:
        """As `append`, of what was not recorded in time: another process may have the session by now, or
        another stream of this one.

        `stream` says it: the name that it took the session up by, "" the one that began it, None no matter
        which. Raises `Conflict` (`taken_up`) where another has it by the record, and nothing is recorded:
        how it ends is for that one to say.
        """
        ...

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

    async def summaries(self, holds: Collection[str]) -> Mapping[str, HoldSummary]:
        """These holds as they stand now, by id; absent where there is no such hold."""
        ...

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        """These holds with their bytes, of one moment; raises `Unavailable` where one's were altered."""
        ...

    async def last_sequence(self) -> int:
        """The number of the last entry: no change of a hold that is there to be seen has a cursor above."""
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

    async def sessions(self, query: SessionQuery) -> Page[Session]:
        """Sessions by filter, newest first."""
        ...

    async def session(self, session_id: str) -> Session | None:
        """One session's columns."""
        ...

    async def entries(self, session_id: str) -> Sequence[Entry]:
        """A session's entries in order, with their payloads."""
        ...

    async def recover(self) -> int:
        """After a crash: an entry for every session of this instance that never ended; how many.

        The entry says what is known (released or not) and that the rest is not.
        """
        ...

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        """Make an exchange that waited in another process, or on an earlier stream of this one, that of
        `stream`, with an entry, if it was held; the name is used once.

        Not one of which anything was released, or that was refused. From then on the other process can
        release nothing of it, and the other stream say no end.
        """
        ...

    async def now(self) -> float:
        """The database's clock, never behind the last committed entry."""
        ...
