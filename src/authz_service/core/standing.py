"""Where a hold stands by its approvals and its votes, at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from authz_service.core.business_hours import Hours, Zones, passed_at
from authz_service.core.holds import (
    Approval,
    Approved,
    Expired,
    Pending,
    Rejected,
    Stage,
    StageRef,
    Standing,
    Timed,
    Turn,
    Verdict,
    Vote,
)


def standing(
    approvals: Sequence[Approval],
    votes: Sequence[Vote],
    *,
    opened_at: float,
    now: float,
    zones: Zones | None = None,
) -> Standing:
    """Where a hold stands at `now`, from nothing but its definitions and its votes.

    All approvals must be satisfied, each stage by its number of distinct people, in order; a stage's
    time begins when the one before it was satisfied. The first valid rejection ends the hold. A vote
    counts only in a stage that was open when it was cast, and until it is withdrawn. `zones` are the
    rules of the zones that the stages' hours name.
    """
    if not approvals:
        raise ValueError("a hold without approvals could never be decided by anyone")
    times = _Times(opened_at, now, zones or {})
    standing_votes = sorted(_that_count(votes), key=lambda v: v.at)
    for index, vote in enumerate(standing_votes):
        if vote.is_break_glass:
            before = _together(approvals, standing_votes[:index], replace(times, now=vote.at))
            if isinstance(before, Pending):
                return Approved(vote.at) if vote.verdict is Verdict.APPROVE else Rejected(vote)
    return _together(approvals, standing_votes, times)


def _that_count(votes: Sequence[Vote]) -> Iterator[Vote]:
    return (vote for vote in votes if vote.withdrawn_at is None and not vote.is_void)


@dataclass(frozen=True, slots=True)
class _Times:
    opened_at: float
    now: float
    zones: Zones

    def after(self, begin: float, seconds: float, hours: Hours | None) -> float:
        if hours is None:
            return begin + seconds
        return passed_at(begin, seconds, hours, self.zones.get(hours.zone, ()))


def _together(approvals: Sequence[Approval], votes: Sequence[Vote], times: _Times) -> Standing:
    """Where the approvals stand together; `votes` in their order."""
    results = [_approval_standing(approval, votes, times) for approval in approvals]
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
        return _all_pending(pending)
    return Approved(approved_at)


def _all_pending(pending: Sequence[Pending]) -> Pending:
    stages = tuple(stage for p in pending for stage in p.open_stages)
    counted = tuple(vote for p in pending for vote in p.counted)
    turns = sorted((turn for p in pending for turn in p.turns), key=lambda turn: turn.at)
    return Pending(stages, min(p.deadline for p in pending), counted, tuple(turns))


def _approval_standing(approval: Approval, votes: Sequence[Vote], times: _Times) -> Standing:
    begin = times.opened_at
    for index, stage in enumerate(approval.stages):
        result = _stage_standing(StageRef(approval.name, index), stage, votes, begin, times)
        if not isinstance(result, Approved):
            return result
        begin = result.at
    return Approved(begin)


def _stage_standing(
    ref: StageRef, stage: Stage, votes: Sequence[Vote], begin: float, times: _Times
) -> Standing:
    parts = _parts(ref, stage, begin, times)
    counted: list[Vote] = []
    for vote in votes:
        if not any(p.ref in vote.counts_for and p.begin <= vote.at < p.end for p in parts):
            continue
        if vote.verdict is Verdict.REJECT:
            return Rejected(vote)
        counted.append(vote)
        if len({vote.voter for vote in counted}) >= stage.votes:
            return Approved(vote.at)
    current = next((part for part in parts if times.now < part.end), None)
    if current is None:
        return Expired(parts[-1].end, parts[-1].ref)
    ids = tuple(vote.id for vote in counted)
    return Pending((current.ref,), parts[-1].end, ids, tuple(_turns(stage, parts, times)))


@dataclass(frozen=True, slots=True)
class _Part:
    """A time in which a stage takes votes: its own, or its escalation's."""

    ref: StageRef
    begin: float
    end: float
    within: float


def _parts(ref: StageRef, stage: Stage, begin: float, times: _Times) -> tuple[_Part, ...]:
    first = _Part(ref, begin, times.after(begin, stage.within, stage.hours), stage.within)
    if stage.escalate is None:
        return (first,)
    within = stage.escalate.within
    end = times.after(first.end, within, stage.hours)
    return first, _Part(replace(ref, is_escalated=True), first.end, end, within)


def _turns(stage: Stage, parts: Sequence[_Part], times: _Times) -> Iterator[Timed]:
    for part in parts:
        if part.ref.is_escalated:
            yield Timed(part.begin, Turn.ESCALATED, part.ref)
        if stage.remind and part.begin < (at := _reminded_at(stage, part, times)):
            yield Timed(at, Turn.REMINDED, part.ref)


def _reminded_at(stage: Stage, part: _Part, times: _Times) -> float:
    if stage.remind_in_hours and stage.remind < part.within:
        return times.after(part.begin, part.within - stage.remind, stage.hours)
    return part.end - stage.remind
