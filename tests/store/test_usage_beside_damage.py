"""A session of which the caller is damaged fails no report of use by groups, or is named."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.damaged_holds import code_of
from tests.store.damaged_rows import put
from tests.store.places import START, Place
from tests.store.test_store_usage import ask

from authz_service.core.ports import DAMAGED
from authz_service.core.usage import Dimension, UsageQuery

BY_GROUP = UsageQuery((Dimension.GROUP,), START)
DETAIL = "UPDATE sessions SET caller_detail = :detail WHERE id = 'b'"
DETAILS = ["{", '{"groups": 5}', '{"groups": {}}', '{"groups": "\\u0000"}']


async def asked(store: Any, make: Any, place: Any, detail: str) -> None:
    await ask(store, make, "a", "alice", "llama", "staff")
    await ask(store, make, "b", "bob", "llama", "staff")
    put(place, DETAIL, detail=detail)


@pytest.mark.parametrize("detail", DETAILS)
def test_the_groups_of_others_are_added_up(sqlite_url: str, make: Any, run: Any, detail: str) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            await asked(store, make, place, detail)
            found = await store.usage(BY_GROUP)
            assert {one.group: one.requests for one in found}["staff"] == 1

    run(scenario())


@pytest.mark.postgres
@pytest.mark.parametrize("detail", DETAILS)
def test_postgresql_says_when_that_session_began(postgres_url: str, make: Any, run: Any, detail: str) -> None:
    place = Place(postgres_url)

    async def scenario() -> None:
        async with place.store() as store:
            await asked(store, make, place, detail)
            assert await code_of(store.usage(BY_GROUP)) == DAMAGED
            assert len(await store.usage(UsageQuery((Dimension.MODEL,), START))) == 1

    run(scenario())
