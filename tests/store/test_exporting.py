"""How many payloads an export takes out is counted by the time of its entries, on both databases."""

from __future__ import annotations

from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.forgetting import PurgeRequest


def test_the_payloads_of_a_range_are_counted_and_values_before_masking_are_not(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            assert await store.payloads_of(1, None) == 0
            for number in range(3):
                kept = {"body": f"{number}".encode(), "original": f"before {number}".encode()}
                released = EntryDraft(Kind.REQUEST_RELEASED, f"s{number}", {}, kept)
                await store.append(make.received(f"s{number}"), released, make.ended(f"s{number}"))
                place.clock.time += 10
            assert await store.payloads_of(1, None) == 6
            assert await store.payloads_of(4, 6) == 2
            assert await store.payloads_of(4, None) == 4
            assert await store.payloads_of(1, 3) == 2
            assert await store.payloads_of(10, 20) == 0
            purge = PurgeRequest(Retention.ENTRIES, round((place.clock.time - 15) * 1e6), "by hand", None)
            await store.forgetting.purge(purge)
            assert await store.payloads_of(1, 6) == 0
            assert await store.payloads_of(4, 9) == 2

    run(scenario())
