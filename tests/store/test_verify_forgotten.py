"""What tombstones account for is no damage, and what they do not account for is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.store.forgotten import DAY, KEY, ORDER, change, fill, hex_of, of, purge, verify

from authz_service.audit.entry import decode
from authz_service.audit.retention import Retention
from authz_service.core.limits import CountedBy, Demand, Quota, Rates
from authz_service.core.sessions import SessionQuery
from authz_service.store.record_reader import reading


@pytest.mark.parametrize("with_entries", [False, True])
def test_a_record_that_was_purged_is_fine(sealed: Any, make: Any, run: Any, with_entries: bool) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            if with_entries:
                await purge(sealed, store, Retention.ENTRIES, 95)
            await fill_young(store)

    async def fill_young(store: Any) -> None:
        await store.append(*[of(sealed, entry, "alice") for entry in (make.received("young"),)])
        await store.append(make.ended("young"))

    run(scenario())
    assert verify(sealed) == []


def test_a_purged_session_counts_for_no_budget_any_more_and_the_record_is_fine(
    sealed: Any, make: Any, run: Any
) -> None:
    shared = Demand((Quota(CountedBy.GROUP, "juniors", Rates(tokens_per_day=9)),))

    async def begin(store: Any, session: str) -> None:
        begun = make.received(session)
        data = {**begun.data, "model": "m", "tokens": 1, "bytes": 2, "budgets": ["juniors"]}
        await store.admit(shared, replace(begun, data=data))
        await store.append(make.ended(session))

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await begin(store, "old")
            sealed.clock.time += 100 * DAY
            await begin(store, "young")
            await purge(sealed, store, Retention.PAYLOADS, 90)
            await purge(sealed, store, Retention.ENTRIES, 90)
            assert [s.id for s in (await store.sessions(SessionQuery())).items] == ["young"]

    run(scenario())
    assert verify(sealed) == []
    assert len(read(sealed, "SELECT * FROM session_budgets")) == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM payloads WHERE seq_is_young", "is not there"),
        ("UPDATE entries SET body = '' WHERE seq = (SELECT max(seq) FROM entries)", "do not fit"),
        ("UPDATE sessions SET subject = 'mallory' WHERE id = 'held alice'", "column subject"),
        ("UPDATE sessions SET subject = '', person = '', path = '' WHERE id = 'young'", "column"),
        ("DELETE FROM sessions WHERE id = 'young'", "no row"),
    ],
)
def test_what_no_tombstone_accounts_for_is_named(
    sealed: Any, make: Any, run: Any, tmp_path: Path, statement: str, said: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            await store.append(of(sealed, make.received("young"), "alice"), make.ended("young"))

    run(scenario())
    young = f"at > {round((sealed.clock.time - DAY) * 1_000_000)} AND retention = 'payloads'"
    empty = "''::bytea" if sealed.url.startswith("postgresql") else "x''"
    change(sealed, statement.replace("seq_is_young", young).replace("body = ''", f"body = {empty}"))
    assert any(said in line for line in verify(sealed)), verify(sealed)


HIDDEN = (
    "UPDATE entries SET body = ''{}, session = 'asked alice' "
    "WHERE seq = (SELECT min(seq) FROM entries WHERE session = 'held bob' AND body <> ''{})"
)


async def purged_but_for_bob(place: Any, make: Any, store: Any) -> None:
    """Of what is older than 90 days nothing is left but what is kept for a trial."""
    await fill(place, make, store)
    keep = place.pseudonym(("https://issuer.example", "bob"))
    await store.forgetting.keep(session=None, subject=keep, order=ORDER)
    place.clock.time += 100 * DAY
    await purge(place, store, Retention.PAYLOADS, 90)
    await purge(place, store, Retention.ENTRIES, 90)


def test_an_entry_that_is_kept_and_lost_its_bytes_is_missed_though_a_purge_came_by(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await purged_but_for_bob(sealed, make, store)

    run(scenario())
    assert verify(sealed) == []
    empty = "::bytea" if sealed.url.startswith("postgresql") else ""
    change(sealed, HIDDEN.format(empty, empty) if empty else HIDDEN.replace("''{}", "x''"))
    assert any("have lost their bytes, and tombstones tell of" in line for line in verify(sealed))


@pytest.mark.parametrize(
    ("table", "key", "column", "said"),
    [
        ("entries", "seq", "body", "entry .*: has bytes, and a tombstone says that they were taken"),
        ("payloads", "digest", None, "payload .*: is there, and a tombstone says that it was taken"),
    ],
)
def test_what_was_purged_and_came_back_is_named(
    sealed: Any, make: Any, run: Any, table: str, key: str, column: str | None, said: str
) -> None:
    """A row of an older backup, put where it was."""

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            rows = read(sealed, f"SELECT * FROM {table} WHERE {key} = (SELECT min({key}) FROM {table})")
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            if column is not None:
                await purge(sealed, store, Retention.ENTRIES, 90)
            put_back(sealed, table, key, column, rows[0])

    run(scenario())
    assert any(re.fullmatch(said, line) for line in verify(sealed))


def read(place: Any, query: str) -> list[dict[str, Any]]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = [dict(row._mapping) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def put_back(place: Any, table: str, key: str, column: str | None, row: dict[str, Any]) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        if column is not None:
            statement = f"UPDATE {table} SET {column} = :{column} WHERE {key} = :{key}"
        else:
            names = ", ".join(row)
            statement = f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"
        assert connection.execute(text(statement), row).rowcount == 1
    engine.dispose()


def test_what_stays_for_ever_is_missed_whatever_was_purged_since(sealed: Any, make: Any, run: Any) -> None:
    """A purge takes nothing from a tombstone, so none may account for what one lost."""

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            await store.forgetting.keep(session="asked alice", subject=None, order=ORDER)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            await purge(sealed, store, Retention.ENTRIES, 90)

    run(scenario())
    assert verify(sealed) == []
    kept = read(sealed, "SELECT body FROM entries WHERE session = 'record.retention' ORDER BY seq")[0]
    digest = decode(bytes(kept["body"])).payloads["order"].digest
    change(sealed, f"DELETE FROM payloads WHERE {hex_of(sealed)} = '{digest.hex()}'")
    assert any(re.fullmatch(r"payload order of entry \d+: is not there", line) for line in verify(sealed))


def test_the_first_entry_since_a_time_is_found_over_those_that_were_purged(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> tuple[int, int, int]:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            old = round(sealed.clock.time * 1_000_000)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            await purge(sealed, store, Retention.ENTRIES, 90)
            young = await store.last_sequence() + 1
            await store.append(make.ended("young"))
            return old, round(sealed.clock.time * 1_000_000), young

    old, now, young = run(scenario())
    with reading(sealed.url) as reader:
        assert reader.first_since(old - 1) == 1
        assert reader.first_since(now + 1) == young + 1
        first = reader.first_since(now)
        assert first <= young
        entries = [row.seq for page in reader.pages(first, young) for row in page if row.body]
        assert young in entries
