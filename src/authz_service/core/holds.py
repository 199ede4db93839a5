"""A hold and its votes: what an approval asks for, and whether votes satisfy it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Verdict(StrEnum):
    """What a vote says."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Stage:
    """Who may vote (a CEL condition over the reviewer), how many must, within how many seconds.

    Silence rejects: when `within` has passed without the votes, the hold expires.
    """

    reviewers: str
    votes: int
    within: float

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise ValueError(f"a stage needs at least one vote, got {self.votes}")
        if not self.within > 0:
            raise ValueError(f"a stage needs a time above zero, got {self.within}")


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
    """One stage of one approval, by name and position from 0."""

    approval: str
    stage: int


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's word on the bytes with `digest`, for the stages that they may vote in.

    `at` is in seconds since the epoch, by the store's clock. `voter` is `Caller.identity`.
    """

    id: str
    voter: tuple[str, str]
    verdict: Verdict
    digest: str
    at: float
    counts_for: tuple[StageRef, ...]
    name: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """More votes are needed, in `open_stages`, before `deadline`."""

    open_stages: tuple[StageRef, ...]
    deadline: float


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


def standing(
    approvals: Sequence[Approval], votes: Sequence[Vote], *, opened_at: float, now: float
) -> Standing:
    """Where a hold stands at `now`, from nothing but its definitions and its votes.

    All approvals must be satisfied, each stage by its number of distinct people, in order; a stage's
    time begins when the one before it was satisfied. The first valid rejection ends the hold. A vote
    counts only in a stage that was open when it was cast.
    """
    if not approvals:
        raise ValueError("a hold without approvals could never be decided by anyone")
    results = [_approval_standing(a, votes, opened_at=opened_at, now=now) for a in approvals]
    return _combined(results)


def _combined(results: Sequence[Standing]) -> Standing:
    ended: list[Rejected | Expired] = []
    pending: list[Pending] = []
    approved_at = 0.0
    for result in results:
        match result:
            case Rejected() | Expired():
                ended.append(result)
            case Pending():
                pending.append(result)
            case Approved(at=at):
                approved_at = max(approved_at, at)
            case _ as never:
                assert_never(never)
    if ended:
        return min(ended, key=lambda e: e.vote.at if isinstance(e, Rejected) else e.at)
    if pending:
        stages = tuple(stage for p in pending for stage in p.open_stages)
        return Pending(stages, min(p.deadline for p in pending))
    return Approved(approved_at)


def _approval_standing(
    approval: Approval, votes: Sequence[Vote], *, opened_at: float, now: float
) -> Standing:
    begin = opened_at
    for index, stage in enumerate(approval.stages):
        ref = StageRef(approval.name, index)
        deadline = begin + stage.within
        voters: set[tuple[str, str]] = set()
        satisfied_at: float | None = None
        for vote in sorted(votes, key=lambda v: v.at):
            if ref not in vote.counts_for or not begin <= vote.at < deadline:
                continue
            if vote.verdict is Verdict.REJECT:
                return Rejected(vote)
            voters.add(vote.voter)
            if len(voters) >= stage.votes:
                satisfied_at = vote.at
                break
        if satisfied_at is None:
            return Expired(deadline, ref) if now >= deadline else Pending((ref,), deadline)
        begin = satisfied_at
    return Approved(begin)
