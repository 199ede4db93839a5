"""Many at once on two replicas of either database: one decision takes effect, and one release at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.store.places import Place
from tests.store.replicas import KEY, other_lock

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.errors import AuthzError, Conflict, Unavailable
from authz_service.store.record_reader import reading
from authz_service.store.sql_store import SqlStore
from authz_service.store.verify_store import verify_store

PAIR = Approval("security", (Stage("true", 2, 1800.0),))


@asynccontextmanager
async def both(place: Place) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    """Two processes on one database; on SQLite as if it had not been locked."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(place.store(instance="one", signer=KEY))
        other_lock(place.url)
        yield one, await stack.enter_async_context(place.store(instance="two", signer=KEY, migrate=False))


async def opened(store: SqlStore, draft: Any, make: Any) -> HoldSummary:
    opening = await store.open_hold(draft, make.limits)
    assert isinstance(opening, Opened)
    return opening.hold


def is_whole(place: Place) -> None:
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []


def test_of_reviewers_who_race_on_two_replicas_exactly_one_decision_takes_effect(
    place: Place, make: Any, run: Any
) -> None:
    """They approve, reject, decide alone and edit; who lost is told; an edit has no votes yet."""

    async def decides(store: SqlStore, hold: HoldSummary, n: int) -> Any:
        person = ("https://issuer.example", f"p{n}")
        if n % 6 == 5:
            revision = Revision(hold.digest, f"edited by {n}".encode(), {}, (StageRef("security", 0),))
            draft = ActDraft(hold.id, ActKind.EDIT, person, person, f"P{n}", "because", revision=revision)
            return await store.act(draft, make.limits)
        ballot = make.ballot(hold, f"p{n}", Verdict.REJECT if n % 4 == 3 else Verdict.APPROVE)
        return await store.vote(replace(ballot, is_break_glass=n % 7 == 6), make.limits)

    async def scenario() -> None:
        async with both(place) as stores:
            for attempt in range(6):
                approvals = (PAIR,) if attempt % 2 else ()
                draft = make.hold(f"s{attempt}", request=f"r{attempt}", approvals=approvals)
                hold = await opened(stores[0], draft, make)
                order = sorted(range(18), key=lambda n: hash((attempt, n)))
                said = await asyncio.gather(
                    *(decides(stores[n % 2], hold, n) for n in order), return_exceptions=True
                )
                kinds = [entry.kind for entry in await stores[1].entries(f"s{attempt}")]
                ends = [kind for kind in kinds if kind in ("hold.approved", "hold.rejected")]
                after = await stores[attempt % 2].hold(hold.id)
                assert after is not None
                accepted = [one for one in said if isinstance(one, HoldSummary)]
                lost = [one for one in said if not isinstance(one, HoldSummary)]
                assert all(isinstance(one, AuthzError) and not isinstance(one, Unavailable) for one in lost)
                decided = after.state in (HoldState.APPROVED, HoldState.REJECTED)
                assert len(ends) == int(decided)
                votes = [vote for vote in after.votes if not vote.is_void]
                assert {vote.digest for vote in votes} <= {after.digest}
                assert len(after.votes) + len(after.acts) == len(accepted)
                if after.state is HoldState.APPROVED and not any(vote.is_break_glass for vote in votes):
                    assert len(votes) == (2 if approvals else 1)

    run(scenario())
    is_whole(place)


@pytest.mark.parametrize("dies", [False, True])
def test_of_one_approval_at_most_one_release_under_retries_a_killed_holder_and_restarts(
    place: Place, make: Any, run: Any, dies: bool
) -> None:
    async def used(store: SqlStore, hold: HoldSummary, session: str) -> bool | None:
        released = EntryDraft(Kind.REQUEST_RELEASED, session, {"hold": hold.id}, {"body": hold.id.encode()})
        try:
            return await store.consume(hold.id, digest=hold.digest, session=session, entries=[released])
        except (Conflict, Unavailable):
            return None  # taken up by another process, or this one is dead

    async def taken_up(store: SqlStore, hold: HoldSummary, session: str) -> bool | None:
        try:
            is_ours = (await store.take_up(session, "again")).is_ours
        except Unavailable:
            return None
        return await used(store, hold, session) if is_ours else None

    async def scenario() -> None:
        held: list[tuple[HoldSummary, list[str]]] = []
        won: dict[str, int] = {}
        async with both(place) as (one, two):
            for n in range(8):
                drafts = [make.hold(f"h{n}-{i}", request=f"r{n}", forward=f"b{n}".encode()) for i in range(3)]
                hold = await opened(one, drafts[0], make)
                for draft in drafts[1:]:
                    await two.open_hold(draft, make.limits)  # the same person's same request, on the other
                await two.vote(make.ballot(hold), make.limits)
                sessions = [draft.session for draft in drafts]
                tries: list[Any] = [used(s, hold, name) for name in sessions for s in (one, two, one)]
                tries.insert(n % 9, taken_up(two, hold, sessions[0]))
                if dies and n == 7:
                    tries.insert(3, one.close())
                won[hold.id] = (await asyncio.gather(*tries)).count(True)
                held.append((hold, sessions))
        async with place.store(instance="one", signer=KEY) as again:
            await again.recover()
            for n, (hold, sessions) in enumerate(held):
                late = [await taken_up(again, hold, name) for name in sessions]
                late += [await used(again, hold, name) for name in sessions]
                assert won[hold.id] + late.count(True) == 1, n
                record = [entry for name in sessions for entry in await again.entries(name)]
                assert [entry.kind for entry in record].count("request.released") == 1

    run(scenario())
