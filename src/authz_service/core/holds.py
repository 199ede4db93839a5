"""A hold and its votes: what an approval asks for, and how a hold can stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from authz_service.core.business_hours import Hours


class Verdict(StrEnum):
    """What a vote says."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who may vote in a stage instead, once its time is over, and for how many seconds more."""

    reviewers: str
    within: float

    def __post_init__(self) -> None:
        if not self.within > 0:
            raise ValueError(f"an escalation needs a time above zero, got {self.within}")


@dataclass(frozen=True, slots=True)
class Stage:
    """Who may vote (a CEL condition over the reviewer and the request), how many must, within how long.

    Silence rejects: when `within` seconds, and those of an escalation, have passed without the votes, the
    hold expires. An escalation changes who may vote and not how many must; what was voted before counts.
    With `hours` only business hours count. `remind` is how many seconds before the end of either time
    those who may vote are to be reminded (0: not at all), with `remind_in_hours` seconds of business hours:
    holds that older versions opened go without it. Accounts of services vote only if the stage
    says, and so does whoever edited what waits, or answered it.
    """

    reviewers: str
    votes: int
    within: float
    escalate: Escalation | None = None
    remind: float = 0.0
    hours: Hours | None = None
    service_accounts: bool = False
    editor_may_approve: bool = False
    remind_in_hours: bool = False

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise ValueError(f"a stage needs at least one vote, got {self.votes}")
        if not self.within > 0:
            raise ValueError(f"a stage needs a time above zero, got {self.within}")
        if self.remind < 0:
            raise ValueError(f"a reminder comes before the end, got {self.remind}")


@dataclass(frozen=True, slots=True)
class Approval:
    """A named approval definition; its stages count in order. `snapshot` keeps the first identity."""

    name: str
    stages: tuple[Stage, ...]
    snapshot: bool = False

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError(f"approval {self.name!r} has no stages: it would approve everything")


@dataclass(frozen=True, slots=True)
class StageRef:
    """One stage of one approval, by name and position from 0; escalated or before."""

    approval: str
    stage: int
    is_escalated: bool = False


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's word on the bytes with `digest`, for the stages that they may vote in.

    `at` is in seconds since the epoch, by the store's clock. `voter` is `Caller.identity`. With
    `is_break_glass` it decides alone. What was withdrawn stays, and counts no longer; nor does what is void,
    since the bytes were edited after it.
    """

    id: str
    voter: tuple[str, str]
    verdict: Verdict
    digest: str
    at: float
    counts_for: tuple[StageRef, ...]
    name: str = ""
    reason: str = ""
    is_break_glass: bool = False
    withdrawn_at: float | None = None
    is_void: bool = False


class Turn(StrEnum):
    """What happens to an open stage by itself."""

    REMINDED = "reminded"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class Timed:
    """A turn of a stage, due `at`."""

    at: float
    turn: Turn
    stage: StageRef


@dataclass(frozen=True, slots=True)
class Pending:
    """More votes are needed, in `open_stages`, before `deadline`.

    `counted` are the ids of the votes that count in them so far; `turns` all of theirs, past and to come,
    in order.
    """

    open_stages: tuple[StageRef, ...]
    deadline: float
    counted: tuple[str, ...] = field(default=(), compare=False)
    turns: tuple[Timed, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Approved:
    """Every stage of every approval has its votes; the last one came `at`."""

    at: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """One reviewer who may vote said no."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class Expired:
    """A stage ran out of time `at`."""

    at: float
    stage: StageRef


Standing = Pending | Approved | Rejected | Expired
