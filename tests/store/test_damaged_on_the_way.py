"""A damaged entry on the way keeps nobody from what lies behind it: a policy's file, a time, a count."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.damaged_rows import put

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Misconfigured
from authz_service.store.record_reader import reading

BODY = "UPDATE entries SET body = :body WHERE seq = :seq"
DAMAGE = pytest.mark.parametrize(
    "body", [b'{"policy":"d1"', b"[" * 100_000, b"5"], ids=["cut", "nested", "none"]
)


@DAMAGE
def test_the_file_of_a_policy_is_found_beside_it(place: Any, make: Any, run: Any, body: bytes) -> None:
    drafts = [EntryDraft(Kind.POLICY_ACTIVATED, data={"policy": "d1"}, payloads={"file": b"one"})] * 2

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(drafts[0])
            await store.append(drafts[1])
            put(place, BODY, body=body + b' "d1"', seq=2)
            assert await store.policy_file("d1") == b"one"

    run(scenario())


@DAMAGE
@pytest.mark.parametrize(("first", "last", "count"), [(2, None, 2), (1, 2, 1), (2, 3, 1)])
def test_the_payloads_of_a_range_are_counted_up_to_the_next_one_that_can_be_read(
    place: Any, make: Any, run: Any, body: bytes, first: int, last: int | None, count: int
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for number in range(4):
                await store.append(
                    EntryDraft(Kind.REQUEST_RELEASED, f"s{number}", {}, {"body": b"%d" % number})
                )
                place.clock.time += 10
            put(place, BODY, body=body, seq=2)
            assert await store.payloads_of(first, last) == count
            for seq in (1, 2, 3, 4):
                put(place, BODY, body=body, seq=seq)
            assert await store.payloads_of(2, None) == 0

    run(scenario())


@DAMAGE
def test_a_time_is_not_looked_for_over_it_and_the_number_is_named(
    place: Any, make: Any, run: Any, body: bytes
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(*[EntryDraft(Kind.SERVICE_STOPPED)] * 3)
            put(place, BODY, body=body, seq=2)

    run(scenario())
    with reading(place.url) as reader, pytest.raises(Misconfigured, match="entry 2 is damaged"):
        reader.first_since(1)
