"""An exchange that comes again has one end on record, whoever had it before and whoever refuses it now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers.exchanges_again import stream
from tests.servers.ext_proc_fakes import CAROL, Service, serving

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Conflict
from authz_service.keys.ids import new_id
from authz_service.runtime.marks import Doing, Marks

NOBODY = replace(CAROL, groups=())


@contextmanager
def poisoned(service: Service, folder: Path, exchange: str) -> Iterator[None]:
    """Another worker of this machine has died while it judged the exchange."""
    dead, own = Marks(folder, 0, 2), Marks(folder, 1, 2)
    dead.begin(exchange, Doing.JUDGES)
    service.gateway.marks = own
    try:
        yield
    finally:
        service.gateway.marks = None
        own.close()
        dead.close()


async def refused(service: Service, exchange: str, caller: Any) -> None:
    """It comes again, and is told what killed a worker is not tried once more."""
    async with stream(service, exchange, caller) as again:
        await again.next()
        reply = again.responses[0].immediate_response
    assert reply.status.code == 503
    assert b'"poisoned"' in reply.body


def test_what_had_ended_and_is_poison_is_refused_and_does_not_end_twice(
    place: Any, tmp_path: Path, run: Any
) -> None:
    """Its worker died between the end's commit and the answer."""

    async def scenario() -> None:
        denied = new_id("ses")
        async with serving(tmp_path, url=place.url) as service:
            async with stream(service, denied, NOBODY) as first:
                await first.next()
            before = await service.kinds(denied)
            with poisoned(service, tmp_path, denied):
                await refused(service, denied, NOBODY)
            assert await service.kinds(denied) == [*before, "request.refused"]
            assert before.count("exchange.ended") == 1

    run(scenario())


@pytest.mark.parametrize("is_late", [False, True], ids=["recorded before", "recorded late"])
def test_what_was_left_and_is_poison_ends_once_whichever_end_is_recorded_first(
    place: Any, tmp_path: Path, run: Any, *, is_late: bool
) -> None:
    """Envoy had lost the way to the worker, which has something to say of the exchange too."""

    async def scenario() -> None:
        held = new_id("ses")
        async with serving(tmp_path, url=place.url) as service:
            async with stream(service, held):
                await has_opened(service, held)
            await service.is_let_go(held)
            if not is_late:
                await service.gateway.recorder.drain()
            with poisoned(service, tmp_path, held):
                await refused(service, held, CAROL)
            kinds = await service.kinds(held)
            assert kinds.count("exchange.ended") == 1
            last = ["request.refused", "exchange.ended"] if is_late else ["exchange.ended", "request.refused"]
            assert kinds[-2:] == last
            found = await service.gateway.store.session(held)
            assert found is not None
            assert (found.status, found.ended_at is None) == ("refused", False)

    run(scenario())


async def has_opened(service: Service, exchange: str) -> None:
    """Without recording what was left to be recorded."""
    while "hold.opened" not in [entry.kind for entry in await service.gateway.store.entries(exchange)]:
        await asyncio.sleep(0.005)


@pytest.mark.postgres
def test_of_two_replicas_that_say_how_it_ended_the_first_is_believed(
    postgres_url: str, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        refusal = EntryDraft(Kind.REQUEST_REFUSED, "s1", {"code": "poisoned", "status": 503})
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            await one.append(make.received("s1"))
            await asyncio.gather(
                two.append_again(refusal, make.ended("s1", "refused")),
                one.append_own(make.ended("s1", "client_left")),
                two.append_again(make.ended("s1", "refused")),
            )
            kinds = [entry.kind for entry in await one.entries("s1")]
            assert sorted(kinds) == ["exchange.ended", "request.received", "request.refused"]

    run(scenario())


def test_what_is_taken_up_after_its_end_ends_again(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.open_hold(make.hold("s1"), make.limits)
            await store.append(make.ended("s1", "client_left"))
            await store.take_up("s1", "again")
            await store.append_again(make.ended("s1", "refused"))
            await store.append_again(make.ended("s1", "refused"))
            with pytest.raises(Conflict):
                await store.append_own(make.ended("s1", "client_left"))
            kinds = [entry.kind for entry in await store.entries("s1")]
            assert kinds[-3:] == ["exchange.ended", "exchange.resumed", "exchange.ended"]

    run(scenario())


def test_what_is_said_again_since_nobody_was_told_of_its_commit_is_on_record_once(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            refusal = EntryDraft(Kind.REQUEST_REFUSED, "s1", {"code": "store_unavailable", "status": 503})
            for _ in range(2):
                await store.append_own(refusal, make.ended("s1", "store_failed"))
            await store.append_own(make.ended("s1", "client_left"))
            kinds = [entry.kind for entry in await store.entries("s1")]
            assert kinds == ["request.received", "request.refused", "exchange.ended"]

    run(scenario())
