"""What the store says of API keys is known here a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.servers.key_fakes import MemoryKeys, api_key, revoked

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Unavailable
from authz_service.runtime import following_keys
from authz_service.runtime.following_keys import FollowingKeys

ENTRY = EntryDraft(Kind.API_KEY_CREATED)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_changes_of_other_replicas_arrive_within_a_second_and_only_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert following_keys.POLL_SECONDS <= 0.5
    monkeypatch.setattr(following_keys, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        store, taken = MemoryKeys(lambda: 0.0), list[list[str]]()
        following = FollowingKeys(store, lambda keys: taken.append(sorted(key.id for key in keys)))
        await store.create_key(api_key("key_1"), ENTRY)
        await following.refresh()
        running = asyncio.create_task(following.run())
        await store.create_key(api_key("key_2"), ENTRY)
        await until(lambda: taken == [["key_1"], ["key_2"]])
        store.is_away = True
        with pytest.raises(Unavailable):
            await following.refresh()
        store.is_away = False
        await store.revoke_key("key_1", revoked("key_1"))
        await until(lambda: taken == [["key_1"], ["key_2"], ["key_1"]])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())
