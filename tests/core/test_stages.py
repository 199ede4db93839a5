"""Escalations, reminders, votes that were taken back and decisions that were made alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.core.acts import Act, ActKind, claim_of
from authz_service.core.business_hours import Hours
from authz_service.core.holds import (
    Approval,
    Approved,
    Escalation,
    Expired,
    Pending,
    Rejected,
    Stage,
    StageRef,
    Timed,
    Turn,
    Verdict,
    Vote,
)
from authz_service.core.stage_terms import stage_with, terms
from authz_service.core.standing import standing

BEFORE = StageRef("a", 0)
AFTER = StageRef("a", 0, is_escalated=True)
SECOND = StageRef("a", 1)
ESCALATING = Approval("a", (Stage("r", 2, 100.0, Escalation("leads", 50.0), remind=10.0),))
STAGED = Approval("a", (Stage("r", 1, 100.0), Stage("r", 2, 100.0)))


def vote(
    who: str, at: float, *refs: StageRef, no: bool = False, alone: bool = False, taken: bool = False
) -> Vote:
    return Vote(
        f"{who}@{at}",
        ("issuer", who),
        Verdict.REJECT if no else Verdict.APPROVE,
        "digest",
        at,
        refs,
        is_break_glass=alone,
        withdrawn_at=at + 1 if taken else None,
    )


def stands(approval: Approval, *votes: Vote, now: float) -> object:
    return standing([approval], votes, opened_at=0.0, now=now)


def test_an_escalation_changes_who_may_vote_at_its_moment_and_not_when_the_hold_ends() -> None:
    before, after = stands(ESCALATING, now=99.9), stands(ESCALATING, now=100.0)
    assert before == Pending((BEFORE,), 150.0)
    assert after == Pending((AFTER,), 150.0)
    assert stands(ESCALATING, now=150.0) == Expired(150.0, AFTER)


def test_an_escalation_changes_no_number_and_takes_no_vote_away() -> None:
    early, late = vote("ann", 10.0, BEFORE), vote("lea", 110.0, AFTER)
    assert isinstance(stands(ESCALATING, late, now=120.0), Pending)
    assert stands(ESCALATING, early, late, now=120.0) == Approved(110.0)
    same = vote("ann", 110.0, AFTER)
    assert isinstance(stands(ESCALATING, early, same, now=120.0), Pending)


def test_a_vote_for_the_other_part_of_a_stage_counts_in_neither() -> None:
    assert stands(ESCALATING, vote("ann", 110.0, BEFORE, no=True), now=120.0) == Pending((AFTER,), 150.0)
    assert stands(ESCALATING, vote("lea", 10.0, AFTER, no=True), now=20.0) == Pending((BEFORE,), 150.0)
    no = vote("lea", 110.0, AFTER, no=True)
    assert stands(ESCALATING, no, now=120.0) == Rejected(no)


def test_turns_are_a_reminder_before_each_end_and_the_escalation() -> None:
    pending = stands(ESCALATING, now=0.0)
    assert isinstance(pending, Pending)
    assert pending.turns == (
        Timed(90.0, Turn.REMINDED, BEFORE),
        Timed(100.0, Turn.ESCALATED, AFTER),
        Timed(140.0, Turn.REMINDED, AFTER),
    )


DAY = 86_400.0
UTC = {"Etc/UTC": ((0, 0),)}
OFFICE = Hours("Etc/UTC", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)  # 1970-01-01 was a Thursday


@pytest.mark.parametrize(("in_hours", "at"), [(True, DAY + 16 * 3600.0), (False, 4 * DAY + 8 * 3600.0)])
def test_a_reminder_comes_in_business_hours_unless_its_hold_is_of_before_it_did(
    *, in_hours: bool, at: float
) -> None:
    stage = Stage("r", 1, 8 * 3600.0, remind=2 * 3600.0, hours=OFFICE, remind_in_hours=in_hours)
    opened = DAY + 10 * 3600.0
    pending = standing([Approval("a", (stage,))], [], opened_at=opened, now=opened, zones=UTC)
    assert isinstance(pending, Pending)
    assert pending.deadline == 4 * DAY + 10 * 3600.0  # Monday
    assert pending.turns == (Timed(at, Turn.REMINDED, BEFORE),)
    assert stage_with("r", 1, stage.within, terms(stage)) == stage


def test_a_vote_that_was_taken_back_counts_no_longer_and_what_it_opened_is_closed() -> None:
    first, second = vote("ann", 10.0, BEFORE), vote("bob", 20.0, SECOND)
    pending = stands(STAGED, first, second, now=30.0)
    assert isinstance(pending, Pending)
    assert (pending.open_stages, pending.counted) == ((SECOND,), ("bob@20.0",))
    taken = vote("ann", 10.0, BEFORE, taken=True)
    assert stands(STAGED, taken, second, now=30.0) == Pending((BEFORE,), 100.0)
    assert stands(STAGED, taken, second, now=100.0) == Expired(100.0, BEFORE)
    again = stands(STAGED, taken, second, vote("cy", 40.0, BEFORE), now=50.0)
    assert isinstance(again, Pending)
    assert again.counted == ()  # bob voted in a stage that was not open, as it turned out


@pytest.mark.parametrize("no", [True, False])
def test_a_decision_that_is_made_alone_ends_it_whatever_the_stages_ask_for(*, no: bool) -> None:
    alone = vote("gus", 10.0, no=no, alone=True)
    assert stands(STAGED, alone, now=20.0) == (Rejected(alone) if no else Approved(10.0))


def test_a_decision_that_is_made_alone_too_late_or_taken_back_is_none() -> None:
    assert stands(STAGED, vote("gus", 100.0, alone=True), now=101.0) == Expired(100.0, BEFORE)
    no = vote("ann", 5.0, BEFORE, no=True)
    assert stands(STAGED, no, vote("gus", 10.0, alone=True), now=20.0) == Rejected(no)
    assert isinstance(stands(STAGED, vote("gus", 10.0, alone=True, taken=True), now=20.0), Pending)


VOTES = st.builds(
    vote,
    st.sampled_from(["ann", "bob", "cy"]),
    st.floats(0, 220),
    st.sampled_from([BEFORE, AFTER, SECOND]),
    no=st.booleans(),
    taken=st.booleans(),
)


@given(votes=st.lists(VOTES, max_size=8), now=st.floats(0, 300))
def test_no_set_of_votes_passes_an_escalated_stage_without_enough_people_who_were_asked(
    votes: list[Vote], now: float
) -> None:
    if isinstance(stands(ESCALATING, *votes, now=now), Approved):
        counted = [v for v in votes if v.verdict is Verdict.APPROVE and v.withdrawn_at is None]
        asked = {v.voter for v in counted if v.at < 100 and BEFORE in v.counts_for}
        asked |= {v.voter for v in counted if 100 <= v.at < 150 and AFTER in v.counts_for}
        assert len(asked) >= 2


def act(kind: ActKind, who: str, at: float, until: float | None = None) -> Act:
    return Act(f"{who}@{at}", kind, ("issuer", who), ("issuer", who), who, at, until=until)


def test_a_claim_ends_by_its_time_by_its_maker_and_with_their_vote() -> None:
    claim = act(ActKind.CLAIM, "ann", 10.0, until=70.0)
    assert claim_of([claim], [], now=69.0) == claim
    assert claim_of([claim], [], now=70.0) is None
    assert claim_of([claim, act(ActKind.UNCLAIM, "ann", 20.0)], [], now=30.0) is None
    assert claim_of([claim], [vote("ann", 20.0, BEFORE)], now=30.0) is None
    assert claim_of([claim], [vote("bob", 20.0, BEFORE)], now=30.0) == claim
    assert claim_of([claim, act(ActKind.COMMENT, "bob", 20.0)], [], now=30.0) == claim
