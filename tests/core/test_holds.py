"""When votes satisfy the stages of a hold, and when time or a rejection ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.core.holds import (
    Approval,
    Approved,
    Expired,
    Pending,
    Rejected,
    Stage,
    StageRef,
    Verdict,
    Vote,
)
from authz_service.core.standing import standing

OPENED = 1000.0
ONE = Approval("security", (Stage("true", 1, 100.0),))
TWO = Approval("security", (Stage("true", 2, 100.0),))
STAGED = Approval("release", (Stage("true", 1, 100.0), Stage("true", 1, 50.0)))


def vote(
    who: str, at: float, *refs: tuple[str, int], verdict: Verdict = Verdict.APPROVE, vote_id: str = ""
) -> Vote:
    counts_for = tuple(StageRef(*ref) for ref in refs)
    return Vote(vote_id or f"{who}@{at}", ("issuer", who), verdict, "digest", at, counts_for)


def test_one_vote_satisfies_a_stage_that_asks_for_one() -> None:
    votes = [vote("ann", 1010.0, ("security", 0))]
    assert standing([ONE], votes, opened_at=OPENED, now=1020.0) == Approved(1010.0)


def test_two_votes_of_one_person_are_one() -> None:
    votes = [vote("ann", 1010.0, ("security", 0)), vote("ann", 1011.0, ("security", 0))]
    result = standing([TWO], votes, opened_at=OPENED, now=1020.0)
    assert result == Pending((StageRef("security", 0),), 1100.0)


def test_a_vote_at_the_deadline_is_late() -> None:
    votes = [vote("ann", 1100.0, ("security", 0))]
    result = standing([ONE], votes, opened_at=OPENED, now=1100.0)
    assert result == Expired(1100.0, StageRef("security", 0))


def test_silence_expires() -> None:
    assert isinstance(standing([ONE], [], opened_at=OPENED, now=1099.9), Pending)
    assert isinstance(standing([ONE], [], opened_at=OPENED, now=1100.0), Expired)


def test_a_rejection_ends_the_hold_even_after_an_approval_of_an_open_stage() -> None:
    no = vote("bob", 1020.0, ("security", 0), verdict=Verdict.REJECT)
    votes = [vote("ann", 1010.0, ("security", 0)), no]
    assert standing([TWO], votes, opened_at=OPENED, now=1030.0) == Rejected(no)


def test_a_second_stage_has_its_own_time_from_when_the_first_was_satisfied() -> None:
    votes = [vote("ann", 1040.0, ("release", 0))]
    result = standing([STAGED], votes, opened_at=OPENED, now=1050.0)
    assert result == Pending((StageRef("release", 1),), 1090.0)
    votes.append(vote("bob", 1089.0, ("release", 1)))
    assert standing([STAGED], votes, opened_at=OPENED, now=1200.0) == Approved(1089.0)


def test_a_vote_counts_for_no_stage_but_those_it_names() -> None:
    votes = [vote("ann", 1040.0, ("release", 0)), vote("bob", 1041.0, ("release", 0))]
    result = standing([STAGED], votes, opened_at=OPENED, now=1050.0)
    assert isinstance(result, Pending)
    assert result.open_stages == (StageRef("release", 1),)


def test_two_approvals_must_both_be_satisfied() -> None:
    legal = Approval("legal", (Stage("true", 1, 200.0),))
    votes = [vote("ann", 1010.0, ("security", 0))]
    result = standing([ONE, legal], votes, opened_at=OPENED, now=1020.0)
    assert result == Pending((StageRef("legal", 0),), 1200.0)
    both = [vote("ann", 1010.0, ("security", 0), ("legal", 0))]
    assert standing([ONE, legal], both, opened_at=OPENED, now=1020.0) == Approved(1010.0)


def test_a_hold_without_approvals_stages_or_votes_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="without approvals"):
        standing([], [], opened_at=OPENED, now=OPENED)
    with pytest.raises(ValueError, match="no stages"):
        Approval("empty", ())
    with pytest.raises(ValueError, match="at least one vote"):
        Stage("true", 0, 10.0)


VOTES = st.builds(
    vote,
    st.sampled_from(["ann", "bob", "cy"]),
    st.floats(900, 1300),
    st.sampled_from([("release", 0), ("release", 1), ("security", 0)]),
    verdict=st.sampled_from(Verdict),
)


@given(votes=st.lists(VOTES, max_size=8), now=st.floats(1000, 1400))
def test_no_set_of_votes_approves_without_enough_people_in_time_in_every_stage(
    votes: list[Vote], now: float
) -> None:
    staged = Approval("release", (Stage("true", 2, 100.0), Stage("true", 1, 50.0)))
    result = standing([staged], votes, opened_at=OPENED, now=now)
    if isinstance(result, Approved):
        approvals = [v for v in votes if v.verdict is Verdict.APPROVE]
        first = {v.voter for v in approvals if StageRef("release", 0) in v.counts_for and v.at < 1100}
        second = {v.voter for v in approvals if StageRef("release", 1) in v.counts_for and v.at < 1150}
        assert len(first) >= 2
        assert second


@given(votes=st.lists(VOTES, max_size=8), now=st.floats(1000, 1400), seed=st.randoms())
def test_the_order_in_which_votes_are_listed_means_nothing(
    votes: list[Vote], now: float, seed: object
) -> None:
    staged = Approval("release", (Stage("true", 2, 100.0), Stage("true", 1, 50.0)))
    unique = list({v.at: v for v in votes}.values())
    shuffled = sorted(unique, key=lambda v: hash((v.id, id(seed))))
    assert standing([staged], unique, opened_at=OPENED, now=now) == standing(
        [staged], shuffled, opened_at=OPENED, now=now
    )
