"""What the store says of withdrawn tokens is known here a moment later, and stays known while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.servers.revocation_fakes import ISSUER, MemoryRevocations

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unavailable
from authz_service.runtime import revoking
from authz_service.runtime.revoking import Revoking

ENTRY = EntryDraft(Kind.TOKEN_REVOKED)


def revocation(subject: str) -> Revocation:
    return Revocation(Revoked(ISSUER, RevokedBy.SUBJECT, subject), None, "left", "olga", 0.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_changes_of_other_replicas_arrive_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert revoking.POLL_SECONDS <= 0.5
    monkeypatch.setattr(revoking, "POLL_SECONDS", 0.001)

    async def scenario() -> None:
        store, known = MemoryRevocations(lambda: 0.0), list[list[str]]()
        following = Revoking(store, lambda items: known.append(sorted(i.what.value for i in items)))
        await following.refresh()
        assert known == [[]]
        running = asyncio.create_task(following.run())
        await store.revoke(revocation("alice"), ENTRY)
        await until(lambda: known[-1] == ["alice"])
        store.is_away = True
        store.rows[revocation("bob").what] = revocation("bob")
        store.recorded.append(ENTRY)
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
