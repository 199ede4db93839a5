"""Where votes, edits, withdrawals and time leave a hold is what a model says that counts each minute."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.agreed import MINUTE, Agreed, Late, Open, Paper, Refused, Said, Step

from authz_service.core.business_hours import Hours, Zones
from authz_service.core.holds import (
    Approval,
    Approved,
    Escalation,
    Expired,
    Pending,
    Rejected,
    Stage,
    StageRef,
    Verdict,
    Vote,
)
from authz_service.core.standing import standing
from authz_service.store.zone_rules import zones_of

FRIDAY = 1_800_000_000.0
"""Nine o'clock in Berlin."""
OFFICE = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([1, 1, 2]),
        st.sampled_from([20, 60, 700]),
        st.sampled_from([0, 30, 500]),
        st.booleans(),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
THINGS = st.lists(
    st.tuples(
        st.sampled_from(["yes"] * 6 + ["takes back"] * 2 + ["no", "alone", "edits"]),
        st.sampled_from(["ann", "bob", "cy", "lea"]),
        st.sampled_from([0, 0, 0, 1, 9, 60, 500, 4000]),
    ),
    min_size=2,
    max_size=12,
)


def approval(steps: tuple[Step, ...]) -> Approval:
    stages = tuple(
        Stage(
            "true",
            step.votes,
            step.minutes * MINUTE,
            Escalation("leads", step.then * MINUTE) if step.then else None,
            hours=OFFICE if step.in_office else None,
        )
        for step in steps
    )
    return Approval("a", stages)


def is_so(stands: object, paper: Paper, now: float) -> bool:
    """Whether they say the same."""
    match paper.stands(now):
        case Open(step, by_leads, until, people):
            if not isinstance(stands, Pending):
                return False
            told = {name.split("@")[0] for name in stands.counted}
            is_open = stands.open_stages == (StageRef("a", step, by_leads),) and stands.deadline == until
            return is_open and told == set(people)
        case Agreed(at):
            return stands == Approved(at)
        case Refused():
            return isinstance(stands, Rejected)
        case Late():
            return isinstance(stands, Expired)
        case _ as never:
            assert_never(never)


@settings(max_examples=500)
@given(steps=STEPS, begin=st.integers(0, 7 * 1440), things=THINGS)
def test_in_any_order_it_stands_as_people_and_the_time_have_it(
    steps: tuple[Step, ...], begin: int, things: list[tuple[str, str, int]]
) -> None:
    now = FRIDAY + begin * MINUTE
    paper = Paper("alice", steps, b"", now)
    asked = (approval(steps),)
    zones: Zones = zones_of(asked, now)
    votes: list[Vote] = []
    for number, (what, who, minutes) in enumerate(things):
        now += minutes * MINUTE
        stands = paper.stands(now)
        is_said = what in ("yes", "no") and paper.may_say(who, now, yes=what == "yes")
        if isinstance(stands, Open) and (is_said or what == "alone"):
            refs = () if what == "alone" else (StageRef("a", stands.step, stands.by_leads),)
            verdict = Verdict.REJECT if what == "no" else Verdict.APPROVE
            name = f"{who}@{number}"
            votes.append(Vote(name, ("i", who), verdict, "d", now, refs, is_break_glass=what == "alone"))
            if is_said:
                paper.say(who, now, yes=what == "yes")
            else:
                paper.said.append(Said(who, now, True, None))
        elif what == "takes back":
            paper.take_back(who)
            votes = [replace(v, withdrawn_at=now) if v.voter[1] == who else v for v in votes]
        elif what == "edits" and paper.is_open_to(who, now):
            paper.rewrite(who, b"", now)
            votes = [replace(vote, is_void=True) for vote in votes]
        told = standing(asked, votes, opened_at=paper.since, now=now, zones=zones)
        assert is_so(told, paper, now), (told, paper.stands(now))
