"""Withdrawn tokens on both databases: with their entries, replaced, lifted, and told when they changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import decode
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.store.schema import entries

ISSUER = "https://issuer.example"
ALICE = Revoked(ISSUER, RevokedBy.SUBJECT, "alice")
TOKEN = Revoked(ISSUER, RevokedBy.TOKEN, "tok-1")
ENTRY = EntryDraft(Kind.TOKEN_REVOKED, data={"issuer": ISSUER})
LIFTED = EntryDraft(Kind.TOKEN_RESTORED, data={"issuer": ISSUER})


def revocation(what: Revoked = ALICE, until: float | None = None, reason: str = "left") -> Revocation:
    return Revocation(what, until, reason, "olga", 0.0)


def kinds(url: str) -> list[str]:
    """All that is on record."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            bodies = connection.execute(select(entries.c.body).order_by(entries.c.seq)).scalars().all()
    finally:
        engine.dispose()
    return [decode(bytes(body)).kind for body in bodies]


async def listed(store: Any) -> list[tuple[Revoked, float | None, str]]:
    read = await store.revocations()
    return [(item.what, item.until, item.reason) for item in read.items]


def test_what_was_revoked_reads_back_newest_first_until_it_is_restored(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            assert await listed(store) == []
            await store.revoke(revocation(), ENTRY)
            place.clock.time += 1
            until = place.clock.time + 60
            await store.revoke(revocation(TOKEN, until, "lost"), ENTRY)
            assert await listed(store) == [(TOKEN, until, "lost"), (ALICE, None, "left")]
            read = await store.revocations()
            assert [item.name for item in read.items] == ["olga", "olga"]
            assert read.items[0].at == place.clock.time
            assert await store.restore(ALICE, LIFTED)
            assert not await store.restore(ALICE, LIFTED)
            assert not await store.restore(replace(TOKEN, issuer="https://other.example"), LIFTED)
            assert not await store.restore(replace(TOKEN, by=RevokedBy.SUBJECT), LIFTED)
            assert await listed(store) == [(TOKEN, until, "lost")]

    run(scenario())


def test_revoking_again_replaces_and_what_ran_out_is_gone(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            now = place.clock.time
            await store.revoke(revocation(TOKEN, now + 10), ENTRY)
            await store.revoke(revocation(ALICE, now + 20), ENTRY)
            await store.revoke(revocation(ALICE, now + 30, "again"), ENTRY)
            assert {item[0]: item[1:] for item in await listed(store)} == {
                ALICE: (now + 30, "again"),
                TOKEN: (now + 10, "left"),
            }
            place.clock.time += 10
            assert [item[0] for item in await listed(store)] == [ALICE]
            assert not await store.restore(TOKEN, LIFTED)
            before = await store.revocations()
            await store.revoke(revocation(ALICE, None), ENTRY)
            after = await store.revocations()
            assert (before.version.split("/")[0], after.version.split("/")[0]) == ("2", "1")

    run(scenario())


def test_nothing_is_read_again_until_something_changed(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            empty = await store.revocations()
            assert await store.revocations(empty.version) is None
            await store.revoke(revocation(), ENTRY)
            one = await store.revocations(empty.version)
            assert [item.what for item in one.items] == [ALICE]
            assert await store.revocations(one.version) is None
            await store.revoke(revocation(reason="again"), ENTRY)
            again = await store.revocations(one.version)
            assert [item.reason for item in again.items] == ["again"]
            await store.restore(ALICE, LIFTED)
            none = await store.revocations(again.version)
            assert none.items == ()

    run(scenario())


def test_each_change_is_on_record_and_no_other(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            with pytest.raises(ValueError, match=r"canonical|float"):
                await store.revoke(revocation(), replace(ENTRY, data={"until": 1.5}))  # type: ignore[dict-item]
            assert await listed(store) == []
            await store.revoke(revocation(), ENTRY)
            await store.restore(TOKEN, LIFTED)
            await store.restore(ALICE, LIFTED)
        assert kinds(place.url) == ["token.revoked", "token.restored"]

    run(scenario())


@pytest.mark.postgres
def test_one_replica_knows_what_another_revoked(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            known = await two.revocations()
            await one.revoke(revocation(), ENTRY)
            told = await two.revocations(known.version)
            assert [item.what for item in told.items] == [ALICE]

    run(scenario())
