"""What is decided alone is reviewed, and of those who race one decides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.acting import LIMITS, TWO, act, alone, kinds, opened, refused, replicas

from authz_service.core.acts import ActKind, Review
from authz_service.core.holds import Verdict
from authz_service.core.stored_holds import HoldQuery, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_decision_that_is_made_alone_stays_on_the_list_until_somebody_else_has_reviewed_it(
    place: Any, make: Any, run: Any, verdict: Verdict
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(TWO,)))
            with pytest.raises(Forbidden):
                await store.vote(alone(make.ballot(hold, "alice", verdict)), LIMITS)
            done = await store.vote(alone(make.ballot(hold, "gus", verdict)), LIMITS)
            wanted = HoldState.APPROVED if verdict is Verdict.APPROVE else HoldState.REJECTED
            assert (done.state, done.review) == (wanted, Review.DUE)
            assert (await kinds(store, hold))[1:] == ["hold.break_glass", f"hold.{wanted.value}"]
            due = await store.holds(HoldQuery(review=Review.DUE))
            assert [item.id for item in due.items] == [hold.id]
            assert await refused(store, act(hold, ActKind.REVIEW, "gus", text="me")) == "own_decision"
            other = act(hold, ActKind.REVIEW, "gus2", text="me", account=("https://issuer.example", "gus"))
            assert await refused(store, other) == "own_decision"
            assert await refused(store, act(hold, ActKind.REVIEW, "alice", text="me")) == "own_request"
            reviewed = await store.act(act(hold, ActKind.REVIEW, "rita", text="it was right"), LIMITS)
            assert reviewed.review is Review.DONE
            assert not (await store.holds(HoldQuery(review=Review.DUE))).items
            assert await refused(store, act(hold, ActKind.REVIEW, "sam", text="x")) == "nothing_to_review"

    run(scenario())


def test_a_decision_that_is_made_alone_cannot_change_one_that_was_made(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            await store.vote(make.ballot(hold, "rita", Verdict.REJECT), LIMITS)
            with pytest.raises(Conflict, match="was rejected by Rita"):
                await store.vote(alone(make.ballot(hold, "gus")), LIMITS)
            second = await opened(store, make.hold(request="second"))
            place.clock.time += 1800
            with pytest.raises(Conflict, match="expired"):
                await store.vote(alone(make.ballot(second, "gus")), LIMITS)

    run(scenario())


def test_of_reviewers_who_race_on_two_replicas_one_decides_and_the_others_learn_who(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with replicas(place) as (store, other):
            for attempt in range(5):
                hold = await opened(store, make.hold(request=f"r{attempt}"))
                votes = []
                for n in range(10):
                    verdict = Verdict.APPROVE if n % 3 else Verdict.REJECT
                    ballot = make.ballot(hold, f"p{n}", verdict)
                    if n == 4:
                        ballot = alone(ballot)
                    votes.append((other if n % 2 else store).vote(ballot, LIMITS))
                answers = await asyncio.gather(*votes, return_exceptions=True)
                (won,) = [a for a in answers if isinstance(a, HoldSummary)]
                lost = [a for a in answers if isinstance(a, Conflict)]
                assert len(lost) == 9
                assert all(won.votes[0].name in str(error) for error in lost)
                after = await other.hold(hold.id)
                assert after is not None
                assert (after.state, len(after.votes)) == (won.state, 1)

    run(scenario())


def test_of_a_release_and_a_withdrawal_that_race_one_happens(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with replicas(place) as (store, other):
            for attempt in range(8):
                hold = await opened(store, make.hold(request=f"r{attempt}"))
                await store.vote(make.ballot(hold, "rita"), LIMITS)
                session = f"x{attempt}"
                release = store.consume(
                    hold.id, digest=hold.digest, session=session, entries=[make.released(session)]
                )
                taken = other.act(act(hold, ActKind.WITHDRAW), LIMITS)
                answers = list(await asyncio.gather(release, taken, return_exceptions=True))
                was_released, was_taken = answers[0] is True, isinstance(answers[1], HoldSummary)
                assert was_released is not was_taken
                after = await store.hold(hold.id)
                assert after is not None
                assert after.state is (HoldState.RELEASED if was_released else HoldState.PENDING)

    run(scenario())
