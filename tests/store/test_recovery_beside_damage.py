"""A damaged entry of an exchange that a crash cut off keeps no service from its start."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_rows import put


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"[]"])
def test_an_exchange_of_which_an_entry_is_damaged_is_closed_at_the_next_start(
    place: Any, make: Any, run: Any, body: bytes
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.released("s1"))
            await store.append(make.received("s2"), make.released("s2"))
        put(place, "UPDATE entries SET body = :body WHERE seq = 2", body=body)
        async with place.store() as store:
            with capture_logs() as logs:
                assert await store.recover() == 2
            assert await store.recover() == 0
            known = [(await store.entries(session))[-1].data for session in ("s1", "s2")]
        assert known == [
            {"request_released": True, "answer_released": "not known"},
            {"request_released": True, "answer_released": False},
        ]
        damaged = [(line["event"], line["session"], line["entries"]) for line in logs]
        assert damaged == [("session.damaged", "s1", [2])]

    run(scenario())
