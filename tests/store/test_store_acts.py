"""Claims, comments, withdrawals, reviews and turns: each on record, each only when it may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.acting import LIMITS, TWO, act, kinds, opened, refused, replicas

from authz_service.core.acts import ActKind
from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.errors import Conflict


def test_of_many_who_claim_at_once_one_has_it_until_it_ends(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with replicas(place) as (store, other):
            hold = await opened(store, make.hold())
            names = [f"p{n}" for n in range(8)]
            tries = [
                (store if n % 2 else other).act(act(hold, ActKind.CLAIM, name), LIMITS)
                for n, name in enumerate(names)
            ]
            answers = await asyncio.gather(*tries, return_exceptions=True)
            (won,) = [a for a in answers if isinstance(a, HoldSummary)]
            lost = [a for a in answers if isinstance(a, Conflict)]
            assert len(lost) == 7
            assert {error.code for error in lost} == {"claimed"}
            assert won.claim is not None
            assert all(f"{won.claim.name} has claimed" in str(error) for error in lost)
            mine = next(n for n in names if n.title() == won.claim.name)
            another = "p0" if mine != "p0" else "p1"
            again = await store.act(act(hold, ActKind.CLAIM, mine), LIMITS)
            assert again.claim is not None
            assert await refused(store, act(hold, ActKind.UNCLAIM, another)) == "not_claimed"
            place.clock.time += 300
            after = await store.act(act(hold, ActKind.CLAIM, another), LIMITS)
            assert after.claim is not None
            freed = await store.act(act(hold, ActKind.UNCLAIM, another), LIMITS)
            assert freed.claim is None
            assert (await kinds(store, hold))[1:] == ["hold.claimed"] * 3 + ["hold.unclaimed"]

    run(scenario())


def test_a_claim_is_not_the_requesters_binds_nobody_and_ends_with_the_hold(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            assert await refused(store, act(hold, ActKind.CLAIM, "alice")) == "own_request"
            await store.act(act(hold, ActKind.CLAIM, "rita"), LIMITS)
            voted = await store.vote(make.ballot(hold, "sam"), LIMITS)
            assert (voted.state, voted.claim) == (HoldState.APPROVED, None)
            assert await refused(store, act(hold, ActKind.CLAIM, "tom")) == "hold_approved"
            said = await store.act(act(hold, ActKind.COMMENT, "tom", text="fine by me"), LIMITS)
            assert [(a.name, a.text) for a in said.acts[-1:]] == [("Tom", "fine by me")]

    run(scenario())


def test_the_same_key_is_the_same_act_and_of_another_act_a_conflict(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            first = act(hold, ActKind.COMMENT, text="one", idempotency_key="k")
            once = await store.act(first, LIMITS)
            assert await store.act(first, LIMITS) == once
            other = act(hold, ActKind.COMMENT, text="two", idempotency_key="k")
            assert await refused(store, other) == "idempotency_key_reused"
            someone = act(hold, ActKind.COMMENT, "sam", text="two", idempotency_key="k")
            assert len((await store.act(someone, LIMITS)).acts) == 2

    run(scenario())


def test_an_approval_that_is_taken_back_pends_again_with_its_history(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            assert await refused(store, act(hold, ActKind.WITHDRAW, "sam")) == "no_vote"
            back = await store.act(act(hold, ActKind.WITHDRAW, text="too fast"), LIMITS)
            assert (back.state, back.deadline) == (HoldState.PENDING, hold.deadline)
            assert [vote.withdrawn_at for vote in back.votes] == [place.clock.time]
            entries = [make.released("s9")]
            assert not await store.consume(hold.id, digest=hold.digest, session="s9", entries=entries)
            assert await refused(store, act(hold, ActKind.WITHDRAW)) == "no_vote"
            again = await store.vote(make.ballot(hold, "rita"), LIMITS)
            assert (again.state, len(again.votes)) == (HoldState.APPROVED, 2)
            assert await store.consume(hold.id, digest=hold.digest, session="s9", entries=entries)
            assert await refused(store, act(hold, ActKind.WITHDRAW)) == "hold_released"
            expected = ["hold.voted", "hold.approved", "hold.withdrawn", "hold.voted", "hold.approved"]
            assert (await kinds(store, hold))[1:] == expected

    run(scenario())


def test_whose_vote_is_taken_back_after_the_time_for_votes_leaves_an_expired_hold(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(TWO,)))
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            await store.vote(make.ballot(hold, "sam"), LIMITS)
            place.clock.time += 61
            staged = await store.hold(hold.id)
            assert staged is not None
            assert staged.open_stages == (StageRef("two", 1),)
            ended = await store.act(act(hold, ActKind.WITHDRAW, "sam"), LIMITS)
            assert ended.state is HoldState.EXPIRED
            assert (await kinds(store, hold))[-2:] == ["hold.withdrawn", "hold.expired"]
            with pytest.raises(Conflict):
                await store.vote(make.ballot(hold, "tom"), LIMITS)

    run(scenario())


def test_a_vote_in_a_stage_that_a_withdrawal_closed_may_be_cast_again(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        wide = Approval("two", (Stage("true", 1, 600.0), Stage("true", 2, 600.0)))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(wide,)))
            for name in ("rita", "sam"):
                await store.vote(make.ballot(hold, name), LIMITS)
                place.clock.time += 1
            closed = await store.act(act(hold, ActKind.WITHDRAW, "rita"), LIMITS)
            assert closed.open_stages == (StageRef("two", 0),)
            place.clock.time += 1
            await store.vote(make.ballot(hold, "tom"), LIMITS)
            again = await store.vote(make.ballot(hold, "sam"), LIMITS)
            assert again.state is HoldState.PENDING
            assert len(again.counted) == 1
            assert (await store.vote(make.ballot(hold, "rita"), LIMITS)).state is HoldState.APPROVED

    run(scenario())
