"""Holds as a store has them. Times are seconds since the epoch, by its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActKind, AnswerHead, Review
from authz_service.core.business_hours import Zones
from authz_service.core.grants import GRANT_IDS, Traits
from authz_service.core.holds import Approval, StageRef, Timed, Vote
from authz_service.core.limits import Quota
from authz_service.view.caller import Caller


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
    took its place, or of the session that waited for it last, and that the rules have refused or let through;
    "" for one that is in another state, and where the record has let go of it.
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
