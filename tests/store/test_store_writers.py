"""Several writers on one PostgreSQL: one signed record, with everything in it, and nobody stuck."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.store.lossy import lossy

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.sql_store import SqlStore
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits(pending_per_caller=10_000)
EACH = 150


@pytest.mark.postgres
@pytest.mark.parametrize("writers", [2, 4])
def test_what_several_write_at_once_is_one_record_that_verifies(
    postgres_url: str, make: Any, run: Any, *, writers: int
) -> None:
    async def exchange(store: SqlStore, name: str) -> None:
        opening = await store.open_hold(make.hold(name, request=name), LIMITS)
        assert isinstance(opening, Opened)
        await store.vote(make.ballot(opening.hold), LIMITS)
        data = {"hold": opening.hold.id, "model": "llama"}
        released = [EntryDraft(Kind.REQUEST_RELEASED, name, {**data}, {"body": name.encode()})]
        assert await store.consume(
            opening.hold.id, digest=opening.hold.digest, session=name, entries=released
        )
        await store.append(make.ended(name))

    async def scenario() -> None:
        place = make.place(postgres_url)
        async with AsyncExitStack() as opened:
            stores = [
                await opened.enter_async_context(
                    place.store(instance=f"one-{n}", signer=KEY, is_first_signer=True)
                )
                for n in range(writers)
            ]
            async with asyncio.TaskGroup() as tasks:
                for n, store in enumerate(stores):
                    for number in range(EACH // writers):
                        tasks.create_task(exchange(store, f"s{n}-{number}"))

    run(scenario())
    with reading(postgres_url) as reader:
        verified = verify_store(reader, keys=[KEY.vkey], kept=())
        assert verified.wrong == []
        # received, decided, opened, voted, approved, released, ended
        assert reader.largest() == 7 * (EACH // writers) * writers


@pytest.mark.postgres
def test_a_store_opens_while_another_writes(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with (
            place.store(instance="busy", signer=KEY, is_first_signer=True) as busy,
            asyncio.TaskGroup() as tasks,
        ):
            numbers = itertools.count()

            async def write() -> None:
                for number in numbers:
                    await busy.append(make.received(f"s{number}"))

            writing = [tasks.create_task(write()) for _ in range(4)]
            for number in range(40):
                async with place.store(instance=f"late-{number}", signer=KEY):
                    pass  # it does not say that the record is damaged
            for task in writing:
                task.cancel()

    run(scenario())


@pytest.mark.postgres
def test_a_server_that_is_far_away_is_waited_for_three_times_in_a_commit(
    postgres_url: str, make: Any, run: Any
) -> None:
    """For the head and its lock, for all that is written, and for the commit."""

    async def scenario() -> None:
        with lossy(postgres_url) as proxy:
            async with make.place(proxy.url).store(instance="far", signer=KEY, is_first_signer=True) as store:
                await store.append(make.received("s0"))  # which connects
                before = proxy.turns
                received = [make.received(f"s{number}") for number in range(1, 40)]
                await store.append(*received, make.decided("s1"), make.released("s2", b"prompt"))
                assert proxy.turns - before == 3

    run(scenario())
