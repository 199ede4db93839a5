"""Holds on both databases: opening, attaching, votes, the one release."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.store.opened_holds import kinds, opened

from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.openings import AlreadyRejected, Attached, Opened, TooManyHolds
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState
from authz_service.errors import Conflict


def test_a_hold_opens_with_its_entries_and_reads_back_as_it_was_answered(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            caller = make.caller(claims={"nul": "\x00", "n": 2**70, "f": 1.5})
            draft = replace(
                make.hold("s1", caller=caller), findings={"EMAIL_ADDRESS": 2}, reason="nul \x00 \ud83d"
            )
            hold = await opened(store, draft)
            assert (await store.summaries([hold.id]))[hold.id] == hold
            assert hold.state is HoldState.PENDING
            assert hold.deadline == place.clock.time + 1800
            assert hold.open_stages == (StageRef("security", 0),)
            assert (hold.caller, hold.size, hold.findings) == (
                caller,
                len(draft.forward),
                {"EMAIL_ADDRESS": 2},
            )
            whole = await store.hold(hold.id)
            assert whole is not None
            assert whole.forward == draft.forward
            assert await kinds(store, "s1") == ["request.received", "request.decided", "hold.opened"]
            last = (await store.entries("s1"))[-1]
            assert last.payloads["forward"] == draft.forward
            assert "digest" not in last.data
            session = await store.session("s1")
            assert session is not None
            assert (session.status, session.hold, session.decision) == ("held", hold.id, "hold")

    run(scenario())


def test_the_same_request_of_the_same_person_attaches_also_after_a_restart(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
        async with place.store() as store:
            attached = await store.open_hold(make.hold("s2"), make.limits)
            assert attached == Attached(hold)
            assert await kinds(store, "s2") == ["request.received", "request.decided", "hold.attached"]
            session = await store.session("s2")
            assert session is not None
            assert session.hold == hold.id
            await opened(store, make.hold("s3", caller=make.caller("bob")))
            await opened(store, make.hold("s4", request="another"))

    run(scenario())


def test_two_accounts_of_one_person_attach_to_one_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("alice", person="a@example.com")))
            same = await store.open_hold(
                make.hold(caller=make.caller("alice-2", person="a@example.com")), make.limits
            )
            assert same == Attached(hold)
            page = await store.holds(HoldQuery(caller="a@example.com"))
            assert [h.id for h in page.items] == [hold.id]

    run(scenario())


def test_twenty_identical_requests_at_once_open_one_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            openings = await asyncio.gather(*(store.open_hold(make.hold(), make.limits) for _ in range(20)))
            assert [type(o) for o in openings].count(Opened) == 1
            assert [type(o) for o in openings].count(Attached) == 19
            assert len({o.hold.id for o in openings if isinstance(o, Opened | Attached)}) == 1

    run(scenario())


def test_a_request_with_other_noise_attaches_and_the_first_bytes_stay(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(forward=b"nonce 1"))
            noisy = [replace(make.hold(forward=f), changes=hold.changes) for f in (b"nonce 2", b"nonce 3")]
            assert await store.open_hold(noisy[0], make.limits) == Attached(hold)
            await store.vote(make.ballot(hold), make.limits)
            again = await store.open_hold(noisy[1], make.limits)
            assert isinstance(again, Attached)
            assert again.hold.state is HoldState.APPROVED
            assert await store.held_bytes([hold.id]) == {hold.id: b"nonce 1"}

    run(scenario())


def test_a_new_hold_shows_the_last_one_of_the_same_request(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await opened(store, make.hold())
            await store.vote(make.ballot(first), make.limits)
            released = (make.received("s1"), make.released("s1"))
            assert await store.consume(first.id, digest=first.digest, session="s1", entries=released)
            second = await opened(store, make.hold())
            assert second.previous == first.id
            place.clock.time += 1800
            assert (await opened(store, make.hold())).previous == second.id

    run(scenario())


@pytest.mark.parametrize("approved", [False, True])
def test_other_bytes_or_other_approvals_supersede_and_link_to_the_old_hold(
    place: Any, make: Any, run: Any, approved: bool
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await opened(store, make.hold("s1"))
            if approved:
                await store.vote(make.ballot(first), make.limits)
            second = await opened(store, make.hold(forward=b"masked otherwise"))
            assert second.previous == first.id
            stricter = (Approval("security", (Stage("true", 2, 1800.0),)),)
            third = await opened(store, make.hold(forward=b"masked otherwise", approvals=stricter))
            assert third.previous == second.id
            for old in (first, second):
                now = await store.hold(old.id)
                assert now is not None
                assert now.state is HoldState.SUPERSEDED
                assert not await store.consume(
                    old.id, digest=old.digest, session="x", entries=[make.released("x")]
                )
            with pytest.raises(Conflict, match="superseded") as error:
                await store.vote(make.ballot(first), make.limits)
            assert error.value.code == "hold_superseded"

    run(scenario())


def test_a_rejection_answers_the_same_request_for_a_while_then_a_new_hold_opens(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            rejected = await store.vote(make.ballot(hold, verdict=Verdict.REJECT), make.limits)
            assert rejected.state is HoldState.REJECTED
            place.clock.time += 599.999999
            again = await store.open_hold(make.hold("s2"), make.limits)
            assert isinstance(again, AlreadyRejected)
            assert (again.hold.votes[0].reason, again.hold.votes[0].name) == ("looked at it", "Rita")
            assert await kinds(store, "s2") == ["request.received", "request.decided"]
            place.clock.time += 0.000001
            await opened(store, make.hold())

    run(scenario())


def test_a_person_has_no_more_pending_holds_than_allowed(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        limits = HoldLimits(pending_per_caller=2)
        async with place.store() as store:
            first = await opened(store, make.hold(request="1"), limits)
            await opened(store, make.hold(request="2"), limits)
            assert await store.open_hold(make.hold("s3", request="3"), limits) == TooManyHolds(2)
            assert await kinds(store, "s3") == ["request.received", "request.decided"]
            await opened(store, make.hold(request="1", forward=b"instead of the first"), limits)
            await opened(store, make.hold(caller=make.caller("bob")), limits)
            assert first.id
            place.clock.time += 1800
            await opened(store, make.hold(request="4"), limits)  # the others are overdue, unswept

    run(scenario())
