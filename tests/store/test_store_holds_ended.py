"""One release for each approval, and none of what is late, altered or ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.opened_holds import kinds, opened

from authz_service.core.holds import Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState, HoldSummary
from authz_service.errors import Conflict


def test_of_twenty_exchanges_that_consume_an_approval_one_is_released(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            await store.vote(make.ballot(hold), make.limits)

            async def consume(session: str) -> bool:
                return bool(
                    await store.consume(
                        hold.id, digest=hold.digest, session=session, entries=[make.released(session)]
                    )
                )

            won = await asyncio.gather(*(consume(f"x{i}") for i in range(20)))
            assert won.count(True) == 1
            recorded = [f"x{i}" for i in range(20) if await store.entries(f"x{i}")]
            assert recorded == [f"x{won.index(True)}"]

    run(scenario())


def test_nothing_is_released_that_is_pending_rejected_altered_or_late(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:

            async def consumes(hold: HoldSummary, digest: str) -> bool:
                entries = [make.released("x")]
                return bool(await store.consume(hold.id, digest=digest, session="x", entries=entries))

            hold = await opened(store, make.hold())
            assert not await consumes(hold, hold.digest)
            await store.vote(make.ballot(hold), make.limits)
            assert not await consumes(hold, "0" * 64)
            with pytest.raises(ValueError, match="on record"):
                await store.consume(hold.id, digest=hold.digest, session="x", entries=[])
            place.clock.time += 900
            assert not await consumes(hold, hold.digest)
            other = await opened(store, make.hold(request="other"))
            await store.vote(make.ballot(other, verdict=Verdict.REJECT), make.limits)
            assert not await consumes(other, other.digest)
            assert not await store.consume("none", digest="", session="x", entries=[make.released("x")])
            assert await store.entries("x") == []

    run(scenario())


def test_an_overdue_hold_is_expired_for_everybody_before_any_sweep(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            place.clock.time += 1800
            now = await store.hold(hold.id)
            assert now is not None
            assert now.state is HoldState.EXPIRED
            with pytest.raises(Conflict, match=r"expired at 2027-01-15T08:30:00\.000000Z") as error:
                await store.vote(make.ballot(hold), make.limits)
            assert error.value.code == "hold_expired"
            assert [h.id for h in (await store.holds(HoldQuery(states=(HoldState.EXPIRED,)))).items] == [
                hold.id
            ]
            assert (await store.holds(HoldQuery(states=(HoldState.PENDING,)))).items == ()
            place.clock.time -= 1000  # a clock that went back revives nothing
            with pytest.raises(Conflict):
                await store.vote(make.ballot(hold), make.limits)
            assert await store.expire_overdue() == 1
            assert await store.expire_overdue() == 0
            assert (await kinds(store, "s1"))[-1] == "hold.expired"
        async with place.store() as store:
            assert await store.now() == place.clock.time + 1000
            await opened(store, make.hold())

    run(scenario())


def test_a_sweep_ends_more_holds_than_fit_one_transaction(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            limits = HoldLimits(pending_per_caller=1000)
            await asyncio.gather(*(store.open_hold(make.hold(request=f"{i}"), limits) for i in range(300)))
            place.clock.time += 1800
            assert await store.expire_overdue() == 300

    run(scenario())


@pytest.mark.postgres
def test_two_replicas_agree_on_one_hold_one_decision_and_one_release(
    postgres_url: str, make: Any, run: Any
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            stores = (one, two) * 8
            openings = await asyncio.gather(*(s.open_hold(make.hold(), make.limits) for s in stores))
            assert [type(o) for o in openings].count(Opened) == 1
            hold = openings[0].hold
            ballots = [make.ballot(hold, f"reviewer-{i}") for i in range(16)]
            said = await asyncio.gather(
                *(s.vote(b, make.limits) for s, b in zip(stores, ballots, strict=True)),
                return_exceptions=True,
            )
            assert [type(s) for s in said].count(HoldSummary) == 1
            assert [type(s) for s in said].count(Conflict) == 15
            released = await asyncio.gather(
                *(
                    s.consume(hold.id, digest=hold.digest, session=f"x{i}", entries=[make.released(f"x{i}")])
                    for i, s in enumerate(stores)
                )
            )
            assert released.count(True) == 1
        async with place.store() as again:
            assert await again.session("none") is None

    run(scenario())
