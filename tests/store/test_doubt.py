"""The answer to a COMMIT is lost with the connection: nothing is recorded twice, lost, or released twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.store.hurry import Hurry
from tests.store.lossy import Loss, LossyPostgres, lossy
from tests.store.places import PATIENCE
from tests.store.verifying import KEY, assert_verifies

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.notifications import NotificationQuery, Wanted
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldQuery, HoldState
from authz_service.errors import Unavailable
from authz_service.runtime.recorder import Recorder
from authz_service.store.sql_store import SqlStore

pytestmark = pytest.mark.postgres


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[LossyPostgres]:
    with lossy(postgres_url) as proxy:
        yield proxy


Step = Callable[[SqlStore, Any], Awaitable[object]]


async def release(store: SqlStore, make: Any) -> None:
    await store.append(make.decided("s1"), make.released("s1", b"prompt"))


async def segment(store: SqlStore, make: Any) -> None:
    await store.append(EntryDraft(Kind.ANSWER_RELEASED, "s1", {"masked": {}}, {"body": b"a piece"}))


async def end(store: SqlStore, make: Any) -> None:
    await store.append(make.ended("s1"))


async def begin(store: SqlStore, make: Any) -> None:
    await store.append(make.received("s2"))


async def hold(store: SqlStore, make: Any) -> object:
    return await store.open_hold(make.hold("s3", request="another"), make.limits)


async def vote(store: SqlStore, make: Any) -> object:
    [pending] = [h for h in await all_holds(store) if h.session == "held"]
    return await store.vote(make.ballot(pending), make.limits)


async def consume(store: SqlStore, make: Any) -> object:
    [approved] = [h for h in await all_holds(store) if h.session == "approved"]
    held = (await store.held_bytes([approved.id]))[approved.id]
    released = EntryDraft(Kind.REQUEST_RELEASED, "approved", {"hold": approved.id}, {"body": held})
    return await store.consume(approved.id, digest=approved.digest, session="approved", entries=[released])


STEPS: dict[str, tuple[Step, list[str]]] = {
    "a release": (release, ["request.decided", "request.released"]),
    "a segment": (segment, ["answer.released"]),
    "an end": (end, ["exchange.ended"]),
    "a beginning": (begin, ["request.received"]),
    "a hold": (hold, ["request.received", "request.decided", "hold.opened"]),
    "a vote": (vote, ["hold.voted", "hold.approved"]),
    "the use of an approval": (consume, ["request.released"]),
}


async def all_holds(store: SqlStore) -> list[Any]:
    return list((await store.holds(HoldQuery())).items)


async def prepared(store: SqlStore, make: Any) -> int:
    """An exchange, a hold that waits and one that is approved; how many entries that makes."""
    await store.append(make.received("s1"))
    await store.open_hold(make.hold("held", caller=make.caller("bob")), make.limits)
    opening = await store.open_hold(make.hold("approved", caller=make.caller("carol")), make.limits)
    assert isinstance(opening, Opened)
    await store.vote(make.ballot(opening.hold), make.limits)
    return await store.last_sequence()


@pytest.mark.parametrize("what", list(Loss), ids=lambda loss: loss.name.lower())
@pytest.mark.parametrize("step", list(STEPS))
def test_whoever_waits_does_not_notice_a_lost_commit(
    proxy: LossyPostgres, make: Any, run: Any, step: str, what: Loss
) -> None:
    work, kinds = STEPS[step]

    async def scenario() -> int:
        async with make.place(proxy.url).store(signer=KEY) as store:
            before = await prepared(store, make)
            proxy.lose(what)
            await work(store, make)
            assert proxy.lost == 1
            assert [e.kind for e in await store.entries_after(before)] == kinds
            if step == "the use of an approval":
                assert await work(store, make) is False  # once
            await store.append(make.received("after"))  # and it goes on
            return before + len(kinds) + 1

    assert_verifies(make.place(proxy.url), run(scenario()))


@pytest.mark.parametrize("what", list(Loss), ids=lambda loss: loss.name.lower())
def test_an_end_that_was_committed_unseen_is_not_recorded_again_when_the_database_comes_back(
    proxy: LossyPostgres, make: Any, run: Any, hurry: Hurry, what: Loss
) -> None:
    async def scenario() -> int:
        async with make.place(proxy.url).store(signer=KEY) as store:
            await store.append(make.received("s1"), make.received("s2"))
            proxy.lose(what, and_stay_away=True)
            recorder = Recorder(store)
            recorder.later((make.ended("s1"),))
            await hurry.until_given_up(PATIENCE, recorder.drain(), proxy)
            assert (proxy.lost, recorder.backlog) == (1, 1)  # it was told that the store is away
            with pytest.raises(Unavailable):
                await store.append(make.ended("s2"))  # so are others, and nothing of theirs is recorded
            proxy.come_back()
            while recorder.backlog:
                await recorder.drain()
            assert [e.kind for e in await store.entries("s1")] == ["request.received", "exchange.ended"]
            assert [e.kind for e in await store.entries("s2")] == ["request.received"]
            return 3

    assert_verifies(make.place(proxy.url), run(scenario()))


def test_an_exchange_whose_last_commit_was_not_answered_in_time_ends_once(
    proxy: LossyPostgres, make: Any, run: Any, hurry: Hurry
) -> None:
    last = EntryDraft(Kind.ANSWER_RELEASED, "s1", {"masked": {}}, {"body": b"the last piece"})
    refused = EntryDraft(Kind.ANSWER_REFUSED, "s1", {"code": "store_unavailable"})

    async def scenario() -> int:
        async with make.place(proxy.url).store(signer=KEY) as store:
            await store.append(make.received("s1"))
            proxy.lose(Loss.ANSWER, and_stay_away=True)
            with pytest.raises(Unavailable):
                await hurry.until_given_up(PATIENCE, store.append(last, make.ended("s1")), proxy)
            proxy.come_back()
            await store.append(refused, make.ended("s1", "store_failed"))  # as its exchange says it then
            session = await store.session("s1")
            assert session is not None
            assert session.status == "completed"
            kinds = [e.kind for e in await store.entries("s1")]
            assert kinds == ["request.received", "answer.released", "exchange.ended", "answer.refused"]
            return len(kinds)

    assert_verifies(make.place(proxy.url), run(scenario()))


def test_an_exchange_that_goes_on_after_an_end_that_was_committed_unseen_ends_again(
    proxy: LossyPostgres, make: Any, run: Any, hurry: Hurry
) -> None:
    async def scenario() -> None:
        async with make.place(proxy.url).store() as store:
            await store.open_hold(make.hold("s1"), make.limits)
            proxy.lose(Loss.ANSWER, and_stay_away=True)
            with pytest.raises(Unavailable):
                await hurry.until_given_up(PATIENCE, store.append(make.ended("s1", "client_left")), proxy)
            proxy.come_back()
            assert (await store.take_up("s1", "again")).is_ours
            await store.append(make.ended("s1", "client_left"))
            kinds = [e.kind for e in await store.entries("s1")]
            assert kinds[-3:] == ["exchange.ended", "exchange.resumed", "exchange.ended"]

    run(scenario())


def test_an_approval_whose_use_was_not_answered_in_time_is_used_up(
    proxy: LossyPostgres, make: Any, run: Any, hurry: Hurry
) -> None:
    async def scenario() -> None:
        async with make.place(proxy.url).store() as store:
            await prepared(store, make)
            proxy.lose(Loss.ANSWER, and_stay_away=True)
            with pytest.raises(Unavailable):
                await hurry.until_given_up(PATIENCE, consume(store, make), proxy)
            proxy.come_back()
            [used] = [h for h in await all_holds(store) if h.session == "approved"]
            assert used.state is HoldState.RELEASED
            assert not await store.consume(
                used.id, digest=used.digest, session="again", entries=[make.released("again")]
            )
            kinds = [e.kind for e in await store.entries("approved")]
            assert kinds.count("request.released") == 1

    run(scenario())


def test_a_commit_of_many_that_was_not_answered_is_one_commit(
    proxy: LossyPostgres, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with make.place(proxy.url).store(signer=KEY) as store:
            await store.append(make.received("s0"))
            for turn, what in enumerate(Loss):
                proxy.lose(what)
                await asyncio.gather(*(store.append(make.received(f"s{turn}-{i}")) for i in range(40)))
            assert proxy.lost == len(Loss)

    run(scenario())
    assert_verifies(make.place(proxy.url), 1 + 40 * len(Loss))


def test_notifications_of_a_commit_that_was_not_answered_are_queued_once(
    proxy: LossyPostgres, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with make.place(proxy.url).store() as store:
            store.outbox.wanted = Wanted({Kind.HOLD_OPENED: ("chat",)}, give_up_after=60.0)
            for turn, what in enumerate(Loss):
                proxy.lose(what)
                await store.open_hold(make.hold(f"s{turn}", request=str(turn)), make.limits)
            page = await store.notifications(NotificationQuery())
            assert len({n.hold for n in page.items}) == len(page.items) == len(Loss)

    run(scenario())
