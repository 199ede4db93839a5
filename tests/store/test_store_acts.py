"""Claims, comments, withdrawals, reviews and turns: each on record, each only when it may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from authz_service.core.acts import ActDraft, ActKind, Review, Revision
from authz_service.core.ballots import Ballot
from authz_service.core.business_hours import Hours
from authz_service.core.holds import Approval, Escalation, Stage, StageRef, Verdict
from authz_service.core.ports import HoldDraft, HoldLimits, HoldQuery, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

TWO = Approval("two", (Stage("true", 2, 60.0), Stage("true", 1, 600.0)))
ESCALATING = Approval("esc", (Stage("r", 2, 60.0, Escalation("leads", 60.0), remind=20.0),))
BEFORE, AFTER = StageRef("esc", 0), StageRef("esc", 0, is_escalated=True)
LIMITS = HoldLimits(claim=300.0)
KEY = LogKey.create("example.com/log")


async def opened(store: Any, draft: HoldDraft) -> HoldSummary:
    hold: HoldSummary = (await store.open_hold(draft, LIMITS)).hold
    return hold


def act(hold: HoldSummary, kind: ActKind, who: str = "rita", **more: Any) -> ActDraft:
    identity = ("https://issuer.example", who)
    return ActDraft(hold.id, kind, identity, more.pop("account", identity), who.title(), **more)


def alone(ballot: Ballot) -> Ballot:
    return replace(ballot, may_vote_in=(), is_break_glass=True)


@asynccontextmanager
async def replicas(place: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Two stores on one PostgreSQL; SQLite serves one process, which races with itself."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(place.store())
        if place.url.startswith("sqlite"):
            yield store, store
        else:
            yield store, await stack.enter_async_context(place.store(instance="two", migrate=False))


async def kinds(store: Any, hold: HoldSummary) -> list[str]:
    return [e.kind for e in await store.entries(hold.session) if e.kind.startswith("hold.")]


async def refused(store: Any, draft: ActDraft) -> str:
    with pytest.raises((Conflict, Forbidden)) as error:
        await store.act(draft, LIMITS)
    return error.value.code


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


def test_an_overdue_stage_is_escalated_before_any_sweep_and_on_record_once(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            assert (hold.open_stages, hold.is_due_soon) == ((BEFORE,), False)
            await store.vote(make.ballot(hold, "rita", stages=(BEFORE,)), LIMITS)
            place.clock.time += 40
            soon = await store.hold(hold.id)
            assert soon is not None
            assert soon.is_due_soon
            place.clock.time += 20
            with pytest.raises(Forbidden):
                await store.vote(make.ballot(hold, "sam", stages=(BEFORE,)), LIMITS)
            with pytest.raises(Conflict) as twice:
                await store.vote(make.ballot(hold, "rita", stages=(BEFORE, AFTER)), LIMITS)
            assert twice.value.code == "already_voted"
            await store.expire_overdue()
            assert (await kinds(store, hold))[-2:] == ["hold.reminded", "hold.escalated"]
            assert await store.expire_overdue() == 0
            now = await store.hold(hold.id)
            assert now is not None
            assert (now.open_stages, now.is_due_soon) == ((AFTER,), False)
            done = await store.vote(make.ballot(hold, "lea", stages=(AFTER,)), LIMITS)
            assert done.state is HoldState.APPROVED
            assert await store.expire_overdue() == 0

    run(scenario())


def test_a_vote_puts_the_turns_before_it_on_record(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            place.clock.time += 100
            await store.vote(make.ballot(hold, "lea", stages=(AFTER,)), LIMITS)
            recorded = ["hold.reminded", "hold.escalated", "hold.reminded", "hold.voted"]
            assert (await kinds(store, hold))[1:] == recorded

    run(scenario())


def test_silence_in_both_parts_of_a_stage_expires(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            place.clock.time += 120
            gone = await store.hold(hold.id)
            assert gone is not None
            assert gone.state is HoldState.EXPIRED
            assert await store.expire_overdue() == 1
            assert (await kinds(store, hold))[-1] == "hold.expired"

    run(scenario())


def test_business_hours_stop_the_clock_of_a_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        hours = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
        office = Approval("office", (Stage("true", 1, 3600.0, hours=hours),))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(office,)))
            # It opens on Friday 2027-01-15 at 09:00 in Berlin.
            assert hold.deadline == hold.created_at + 3600
            place.clock.time += 9 * 3600
            late = await opened(store, make.hold(request="late", approvals=(office,)))
            assert late.deadline - late.created_at == (3 * 24 + 1 - 9) * 3600

    run(scenario())


def test_reminders_and_escalations_come_in_business_hours_after_edits_and_withdrawals_too(
    place: Any, make: Any, run: Any
) -> None:
    hours = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
    stage = Stage("true", 2, 4 * 3600.0, Escalation("leads", 3600.0), 1800.0, hours, remind_in_hours=True)
    office = Approval("office", (stage,))
    part = StageRef("office", 0)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            # It opens on Friday 2027-01-15 at 09:00 in Berlin, and is edited at 15:00.
            hold = await opened(store, make.hold(approvals=(office,)))
            place.clock.time += 3600
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            await store.act(act(hold, ActKind.WITHDRAW, "rita"), LIMITS)
            place.clock.time += 5 * 3600
            hold = await opened(store, make.hold(request="late", approvals=(office,)))
            edit = Revision(hold.digest, b"changed", {}, (part,))
            hold = await store.act(act(hold, ActKind.EDIT, "sam", revision=edit), LIMITS)
            monday = hold.created_at + (3 * 24 - 6) * 3600
            assert hold.deadline == monday + 3 * 3600
            told = []
            for at in (monday, monday + 5400, monday + 7200, monday + 9000):
                place.clock.time = at - 1
                await store.expire_overdue()
                told.append((await kinds(store, hold))[2:])
                place.clock.time = at
                await store.expire_overdue()
            told.append((await kinds(store, hold))[2:])
            steps = ["hold.reminded", "hold.escalated", "hold.reminded"]
            assert told == [[], [], steps[:1], steps[:2], steps]
        with reading(place.url) as reader:
            assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []

    run(scenario())


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
