"""Withdrawn tokens on both databases: with their entries, replaced, lifted, and told when they changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from tests.store.damaged_rows import put
from tests.store.revoking import ALICE, ISSUER, OLGA, kinds, restore, revocation

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ports import DAMAGED
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unavailable
from authz_service.identity.revoked import RevokedTokens
from authz_service.servers.review_tokens import _entry
from authz_service.store.migrate import migrate
from authz_service.store.schema import metadata, revocations
from authz_service.view.caller import Caller

TOKEN = Revoked(ISSUER, RevokedBy.TOKEN, "tok-1")


async def revoke(store: Any, made: Revocation) -> None:
    await store.revoke(made, _entry(Kind.TOKEN_REVOKED, made, OLGA))


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


DAMAGES = {
    "entry": ("UPDATE entries SET body = :body WHERE seq = 1", {"body": b"{"}),
    "altered": ("UPDATE entries SET body = leaf WHERE seq = 1", {}),
    "payloads": ("UPDATE payloads SET body = salt", {}),
    "no payloads": ("DELETE FROM payloads", {}),
    "seeds": ("UPDATE payloads SET salt = body", {}),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_one_that_is_damaged_lets_nothing_pass_and_refuses_no_other(
    place: Any, run: Any, damage: str
) -> None:
    statement, values = DAMAGES[damage]

    async def scenario() -> None:
        async with place.store() as store:
            await revoke(store, revocation(TOKEN))
            put(place, statement, **values)
        async with place.store() as store:
            (found,) = (await store.revocations()).items
            assert (found.is_damaged, found.entry, found.what.value, found.until) == (True, 1, "", None)
            tokens = RevokedTokens()
            tokens.replace([found])
            with pytest.raises(Unavailable) as refused:
                tokens.check(Caller(ISSUER, "anybody", 0.0))
            assert refused.value.code == DAMAGED
            await revoke(store, revocation())
            read = await store.revocations()
            assert [(item.what, item.is_damaged) for item in read.items if item.what.value] == [
                (ALICE, False)
            ]
            assert await restore(store, ALICE)
            assert [item.is_damaged for item in (await store.revocations()).items] == [True]

    run(scenario())


def test_one_of_a_subject_goes_on_by_pseudonym_where_its_payload_is_damaged(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await revoke(store, revocation())
            (before,) = (await store.revocations()).items
            put(place, "UPDATE payloads SET body = salt")
            (found,) = (await store.revocations()).items
            assert (found.is_damaged, found.pseudonym, found.name) == (False, before.pseudonym, "")
            assert found.pseudonym

    run(scenario())


@pytest.mark.parametrize("what", [ALICE, TOKEN], ids=["subject", "token"])
@pytest.mark.parametrize("until", [None, 60])
def test_a_row_with_another_end_ends_no_withdrawal(
    place: Any, run: Any, what: Revoked, until: int | None
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            ends = None if until is None else place.clock.time + until
            await revoke(store, revocation(what, ends))
            put(place, "UPDATE revocations SET until = 1")
            assert await listed(store) == [(what, ends, "left")]
            await revoke(store, revocation(replace(what, value="another")))
            assert (what, ends, "left") in await listed(store)
            assert await restore(store, what)
            assert [item[0].value for item in await listed(store)] == ["another"]

    run(scenario())


def test_one_that_is_damaged_runs_out_all_the_same(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await revoke(store, revocation(TOKEN, place.clock.time + 60))
            put(place, "UPDATE entries SET body = :body WHERE seq = 1", body=b"{")
            assert [item.is_damaged for item in (await store.revocations()).items] == [True]
            place.clock.time += 60
            assert (await store.revocations()).items == ()

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
