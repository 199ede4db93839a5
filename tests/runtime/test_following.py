"""What the store says of API keys and withdrawn tokens is known here a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs
from tests.servers.key_fakes import MemoryKeys, api_key, revoked
from tests.servers.revocation_fakes import ISSUER, MemoryRevocations

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.api_keys import KeysRead
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked, RevokedBy
from authz_service.errors import Unavailable
from authz_service.runtime import following as module
from authz_service.runtime.following import Following

KEY_ENTRY = EntryDraft(Kind.API_KEY_CREATED)
TOKEN_ENTRY = EntryDraft(Kind.TOKEN_REVOKED)


def revocation(subject: str) -> Revocation:
    return Revocation(Revoked(ISSUER, RevokedBy.SUBJECT, subject), None, "left", "olga", 0.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def test_keys_that_other_replicas_changed_arrive_within_a_second_and_only_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module.POLL_SECONDS <= 0.5
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        store, taken = MemoryKeys(lambda: 0.0), list[list[str]]()
        following = Following(
            store.changed_keys, lambda keys: taken.append(sorted(key.id for key in keys)), version=0
        )
        await store.create_key(api_key("key_1"), KEY_ENTRY)
        await following.refresh()
        running = asyncio.create_task(following.run())
        await store.create_key(api_key("key_2"), KEY_ENTRY)
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


def test_tokens_that_other_replicas_withdrew_are_known_within_a_second_and_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert module.POLL_SECONDS <= 0.5
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        store, known = MemoryRevocations(lambda: 0.0), list[list[str]]()
        following = Following(
            store.revocations, lambda items: known.append(sorted(i.what.value for i in items)), version=""
        )
        await following.refresh()
        assert known == [[]]
        running = asyncio.create_task(following.run())
        await store.revoke(revocation("alice"), TOKEN_ENTRY)
        await until(lambda: known[-1] == ["alice"])
        store.is_away = True
        store.rows[revocation("bob").what] = revocation("bob")
        store.recorded.append(TOKEN_ENTRY)
        with pytest.raises(Unavailable):
            await following.refresh()
        assert known == [[], ["alice"]]
        store.is_away = False
        await until(lambda: known[-1] == ["alice", "bob"])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await following.refresh()
        assert len(known) == 3  # nothing is told twice

    asyncio.run(scenario())


def test_it_goes_on_asking_while_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        store, known, asked = MemoryRevocations(lambda: 0.0), list[list[str]](), list[str]()

        async def ask(version: str) -> RevocationsRead | None:
            asked.append(version)
            return await store.revocations(version)

        following = Following(ask, lambda items: known.append([i.what.value for i in items]), version="")
        await store.revoke(revocation("alice"), TOKEN_ENTRY)
        store.is_away = True
        running = asyncio.create_task(following.run())
        await until(lambda: len(asked) > 2)
        assert known == []
        store.is_away = False
        await until(lambda: known == [["alice"]])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_whatever_goes_wrong_is_said_once_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        asked: list[int] = []

        async def ask(version: int) -> KeysRead | None:
            asked.append(version)
            if len(asked) < 4:
                raise KeyError("a secret")
            return KeysRead(1, (api_key("key_1"),))

        taken: list[str] = []
        following = Following(ask, lambda keys: taken.extend(key.id for key in keys), version=0)
        with capture_logs() as logs:
            running = asyncio.create_task(following.run())
            await until(lambda: bool(taken))
        assert [(line["event"], line["error"]) for line in logs] == [("following.failed", "KeyError")]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())
