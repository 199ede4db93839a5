"""Withdrawn tokens on both databases: with their entries, replaced, lifted, and told when they changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, select, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import decode
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unavailable
from authz_service.servers.review_tokens import _entry
from authz_service.store.migrate import migrate
from authz_service.store.schema import entries, metadata, payloads, revocations
from authz_service.view.caller import Caller

ISSUER = "https://issuer.example"
ALICE = Revoked(ISSUER, RevokedBy.SUBJECT, "alice")
TOKEN = Revoked(ISSUER, RevokedBy.TOKEN, "tok-1")
OLGA = Caller(ISSUER, "olga", 0.0)


def revocation(what: Revoked = ALICE, until: float | None = None, reason: str = "left") -> Revocation:
    return Revocation(what, until, reason, "olga", 0.0)


async def revoke(store: Any, made: Revocation) -> None:
    await store.revoke(made, _entry(Kind.TOKEN_REVOKED, made, OLGA))


async def restore(store: Any, what: Revoked) -> bool:
    return bool(await store.restore(what, _entry(Kind.TOKEN_RESTORED, revocation(what), OLGA)))


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
            await revoke(store, revocation())
            place.clock.time += 1
            until = place.clock.time + 60
            await revoke(store, revocation(TOKEN, until, "lost"))
            assert await listed(store) == [(TOKEN, until, "lost"), (ALICE, None, "left")]
            read = await store.revocations()
            assert [item.name for item in read.items] == ["olga", "olga"]
            assert read.items[0].at == place.clock.time
            assert await restore(store, ALICE)
            assert not await restore(store, ALICE)
            assert not await restore(store, replace(TOKEN, issuer="https://other.example"))
            assert not await restore(store, replace(TOKEN, by=RevokedBy.SUBJECT))
            assert await listed(store) == [(TOKEN, until, "lost")]

    run(scenario())


def test_revoking_again_replaces_and_what_ran_out_is_gone(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            now = place.clock.time
            await revoke(store, revocation(TOKEN, now + 10))
            await revoke(store, revocation(ALICE, now + 20))
            await revoke(store, revocation(ALICE, now + 30, "again"))
            assert {item[0]: item[1:] for item in await listed(store)} == {
                ALICE: (now + 30, "again"),
                TOKEN: (now + 10, "left"),
            }
            place.clock.time += 10
            assert [item[0] for item in await listed(store)] == [ALICE]
            assert not await restore(store, TOKEN)
            before = await store.revocations()
            await revoke(store, revocation(ALICE, None))
            after = await store.revocations()
            assert (before.version.split("/")[0], after.version.split("/")[0]) == ("2", "1")

    run(scenario())


def test_nothing_is_read_again_until_something_changed(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            empty = await store.revocations()
            assert await store.revocations(empty.version) is None
            await revoke(store, revocation())
            one = await store.revocations(empty.version)
            assert [item.what for item in one.items] == [ALICE]
            assert await store.revocations(one.version) is None
            await revoke(store, revocation(reason="again"))
            again = await store.revocations(one.version)
            assert [item.reason for item in again.items] == ["again"]
            await restore(store, ALICE)
            none = await store.revocations(again.version)
            assert none.items == ()

    run(scenario())


def test_each_change_is_on_record_and_no_other(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            with pytest.raises(ValueError, match=r"canonical|float"):
                await store.revoke(revocation(), EntryDraft(Kind.TOKEN_REVOKED, data={"until": 1.5}))  # type: ignore[dict-item]
            assert await listed(store) == []
            await revoke(store, revocation())
            await restore(store, TOKEN)
            await restore(store, ALICE)
        assert kinds(place.url) == ["token.revoked", "token.restored"]

    run(scenario())


@pytest.mark.postgres
def test_one_replica_knows_what_another_revoked(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            known = await two.revocations()
            await revoke(one, revocation())
            told = await two.revocations(known.version)
            assert [item.what for item in told.items] == [ALICE]

    run(scenario())


def test_nobody_is_named_in_clear(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await revoke(store, revocation(ALICE, reason="alice has left"))

    run(scenario())
    engine = create_engine(sealed.url)
    with engine.connect() as connection:
        rows = [str(row) for table in metadata.sorted_tables for row in connection.execute(select(table))]
        columns = set(connection.execute(select(revocations)).keys())
    engine.dispose()
    assert not [row for row in rows if "alice" in row or "olga" in row]
    assert columns == {"seq", "until", "at"}


def test_a_withdrawal_that_cannot_be_read_lets_nothing_pass(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await revoke(store, revocation(TOKEN))
            engine = create_engine(place.url)
            with engine.begin() as connection:
                connection.execute(delete(payloads))
            engine.dispose()
            with pytest.raises(Unavailable, match="withdrawn tokens is damaged"):
                await store.revocations()

    run(scenario())


LATER = ("session_budgets", "grants", "grant_acts", "grant_uses", "used_once", "kept_results")
"""Tables that came with revisions after the one that is upgraded from."""


def test_what_was_withdrawn_before_an_upgrade_stays_withdrawn(place: Any, run: Any) -> None:
    async def scenario() -> list[Any]:
        async with place.store() as store:
            await revoke(store, revocation(TOKEN, place.clock.time + 60))
            await revoke(store, revocation())
            return [item.what for item in (await store.revocations()).items]

    async def after() -> list[Any]:
        async with place.store() as store:
            return [item.what for item in (await store.revocations()).items]

    before = run(scenario())
    engine = create_engine(place.url)
    with engine.begin() as connection:
        rows = connection.execute(select(revocations)).all()
        connection.execute(text("DROP TABLE revocations"))
        names = "issuer TEXT, by TEXT, value TEXT, until BIGINT, at BIGINT, seq BIGINT, detail TEXT"
        connection.execute(text(f"CREATE TABLE revocations ({names})"))
        for row in rows:
            told = {"value": f"name {row.seq}", "until": row.until, "at": row.at, "seq": row.seq}
            old = "INSERT INTO revocations VALUES ('i', 'sub', :value, :until, :at, :seq, 'why')"
            connection.execute(text(old), told)
        for later in (
            "ALTER TABLE holds DROP COLUMN begun_at",
            "DROP TABLE outbox",
            "ALTER TABLE sessions DROP COLUMN tokens",
            "ALTER TABLE sessions DROP COLUMN bytes",
            "ALTER TABLE sessions DROP COLUMN repeated",
            "DROP INDEX IF EXISTS sessions_prefix",
            "DROP INDEX IF EXISTS holds_prefix",
            "DROP INDEX holds_open",
            "DROP INDEX holds_subject",
            *(f"DROP TABLE {name}" for name in LATER),
        ):
            connection.execute(text(later))
        connection.execute(text("UPDATE authz_schema SET version_num = '0007'"))
    engine.dispose()
    migrate(place.url)
    assert run(after()) == before
