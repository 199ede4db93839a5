"""Many holds at once: votes of one call count each for itself, and waits are counted by their age."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.store.acting import act, alone
from tests.store.damaged_rows import put
from tests.store.places import Place

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import decode
from authz_service.core.acts import ActKind
from authz_service.core.holds import Approval, Stage, Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldDraft, HoldState, HoldSummary
from authz_service.errors import AuthzError, Conflict, Forbidden, NotFound
from authz_service.store.hold_ages import HoldAges
from authz_service.store.sql_store import SqlStore

TWO_VOTES = Approval("security", (Stage("true", 2, 1800.0),))


async def opened(store: SqlStore, make: Any, *drafts: HoldDraft) -> list[HoldSummary]:
    holds = []
    for draft in drafts:
        opening = await store.open_hold(draft, make.limits)
        assert isinstance(opening, Opened)
        holds.append(opening.hold)
    return holds


def states(outcomes: Any) -> list[HoldState]:
    return [outcome.state for outcome in outcomes]


def test_votes_of_one_call_count_each_for_itself(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            held = await opened(
                store,
                make,
                *(make.hold(request=f"request {n}") for n in range(3)),
                make.hold(request="two eyes more", approvals=(TWO_VOTES,)),
                make.hold(request="rita's own", caller=make.caller("rita")),
            )
            await store.vote(make.ballot(held[1], verdict=Verdict.REJECT, voter="sam"), make.limits)
            ballots = [make.ballot(hold, "rita") for hold in held]
            ballots.append(replace(make.ballot(held[0], "rita"), hold="hld_none"))
            outcomes = await store.vote_all(ballots, make.limits)
            first, decided, third, waiting, own, none = outcomes
            assert states((first, third, waiting)) == [
                HoldState.APPROVED,
                HoldState.APPROVED,
                HoldState.PENDING,
            ]
            assert isinstance(decided, Conflict)
            assert decided.code == "hold_rejected"
            assert isinstance(own, Forbidden)
            assert isinstance(none, NotFound)
            assert await store.summaries([held[0].id, held[3].id]) == {held[0].id: first, held[3].id: waiting}
            assert not isinstance(waiting, AuthzError)
            assert [vote.voter[1] for vote in waiting.votes] == ["rita"]

    run(scenario())


def test_what_is_voted_at_once_is_on_record_as_what_is_voted_alone(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            held = await opened(store, make, *(make.hold(request=f"request {n}") for n in range(3)))
            await store.vote(make.ballot(held[0], "rita"), make.limits)
            await store.vote_all([make.ballot(hold, "rita") for hold in held[1:]], make.limits)
            kinds = [[entry.kind for entry in await store.entries(hold.session)] for hold in held]
            assert kinds[0][-2:] == ["hold.voted", "hold.approved"]
            assert kinds[1:] == [kinds[0]] * 2
            said = [decode((await store.entries(hold.session))[-1].body) for hold in held]
            assert len({tuple(sorted(entry.data)) for entry in said}) == 1
            changed = await store.hold_changes(0)
            assert {change.hold for change in changed} == {hold.id for hold in held}

    run(scenario())


def test_a_call_that_is_repeated_changes_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            held = await opened(store, make, *(make.hold(request=f"request {n}") for n in range(3)))
            ballots = [make.ballot(hold, "rita", key="k") for hold in held]
            first = await store.vote_all(ballots, make.limits)
            size = await store.last_sequence()
            assert await store.vote_all(ballots, make.limits) == first
            assert await store.last_sequence() == size
            with pytest.raises(ValueError, match="two votes on one hold"):
                await store.vote_all(ballots[:1] * 2, make.limits)

    run(scenario())


def test_an_order_to_end_a_session_is_seen_by_a_release_of_the_same_group(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            held = await opened(store, make, *(make.hold(request=f"request {n}") for n in range(2)))
            await store.vote_all([make.ballot(hold, "rita") for hold in held], make.limits)
            both_wait = threading.Event()
            first = asyncio.ensure_future(store.change(lambda _transaction: both_wait.wait(60)))
            order = EntryDraft(
                Kind.SESSION_KILLED, held[0].session, {}, {"operator": b"{}", "reason": b"enough"}
            )
            group = [
                asyncio.ensure_future(store.append(order)),
                *(
                    asyncio.ensure_future(
                        store.consume(
                            hold.id,
                            digest=hold.digest,
                            session=hold.session,
                            entries=[make.released(hold.session)],
                        )
                    )
                    for hold in held
                ),
            ]
            while store.queued < len(group):
                await asyncio.sleep(0)
            both_wait.set()
            await first
            _, killed, released = await asyncio.gather(*group, return_exceptions=True)
            assert isinstance(killed, Conflict)
            assert killed.code == "session_killed"
            assert released is True

    run(scenario())


def test_waits_are_counted_by_their_age(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            assert await store.hold_ages([60, 600]) == HoldAges((0, 0, 0), 0.0)
            (old,) = await opened(store, make, make.hold(request="old"))
            place.clock.time += 900
            await opened(store, make, make.hold(request="older than a minute"))
            place.clock.time += 100
            await opened(store, make, *(make.hold(request=f"new {n}") for n in range(2)))
            assert await store.hold_ages([60, 600]) == HoldAges((2, 1, 1), 1000.0)
            await store.vote(make.ballot(old), make.limits)
            assert await store.hold_ages([60, 600]) == HoldAges((2, 1, 0), 100.0)

    run(scenario())


def test_what_was_decided_alone_is_counted_until_it_is_reviewed(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            drafts = (make.hold(request=f"{n}", approvals=(TWO_VOTES,)) for n in range(2))
            first, second = await opened(store, make, *drafts)
            await store.vote(make.ballot(first), make.limits)  # which decides nothing
            place.clock.time += 100
            for hold in (first, second):
                await store.vote(alone(make.ballot(hold, "gus")), make.limits)
                place.clock.time += 50
            assert await store.hold_ages([]) == HoldAges((0,), 0.0, 2, 100.0)
            await store.act(act(first, ActKind.REVIEW, "rita", text="it was right"), make.limits)
            assert await store.hold_ages([]) == HoldAges((0,), 0.0, 1, 50.0)
            await store.act(act(second, ActKind.REVIEW, "rita", text="it was right"), make.limits)
            assert await store.hold_ages([]) == HoldAges((0,), 0.0)

    run(scenario())


def test_a_time_that_is_none_costs_its_own_number(sqlite_url: str, make: Any, run: Any) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            decided, waiting = await opened(
                store, make, *(make.hold(request=name, approvals=(TWO_VOTES,)) for name in ("one", "other"))
            )
            await store.vote(alone(make.ballot(decided, "gus")), make.limits)
            place.clock.time += 100
            put(place, "UPDATE votes SET at = 'x' WHERE hold = :hold", hold=decided.id)
            assert await store.hold_ages([60]) == HoldAges((0, 1), 100.0, 1, 0.0)
            put(place, "UPDATE holds SET created_at = 'x' WHERE id = :hold", hold=waiting.id)
            assert (await store.hold_ages([])).oldest == 0.0

    run(scenario())
