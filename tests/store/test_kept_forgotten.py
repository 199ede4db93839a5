"""What becomes of names of kept results when who had them is forgotten, and what verification says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from tests.store.forgotten import DAY, KEY, ORDER, change, purge, verify
from tests.store.kept_results import NO_ROW, NOBODY_SAYS_SO, asked, kept, rows

from authz_service.audit.retention import Retention
from authz_service.store import kept_rows

INSERT = "INSERT INTO kept_results (name, seq, owner) VALUES"


def of_entry(sequence: int, what: str) -> str:
    return f"whose it is, what entry {sequence} says is kept: {what}"


async def forget(place: Any, store: Any, how: str, who: str) -> None:
    """Somebody who asked, or all entries that are older than 90 days."""
    if how == "erased":
        await store.forgetting.erase(who, ORDER)
    else:
        await purge(place, store, Retention.ENTRIES, 90)


@pytest.mark.parametrize("how", ["purged", "erased"])
def test_what_two_were_given_stays_nobodys_when_one_is_forgotten_and_goes_with_the_other(
    sealed: Any, make: Any, run: Any, how: str
) -> None:
    async def one_is_forgotten() -> tuple[str, str]:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "both", "hers")
            sealed.clock.time += 100 * DAY
            bob = await asked(sealed, make, store, "s2", "bob", "both", "his")
            await forget(sealed, store, how, alice)
            for who in (alice, bob, ""):
                assert not await store.owned(["both"], who)
                assert not await store.owned(["hers"], who)
            assert await store.owned(["his"], bob)
            return alice, bob

    async def the_other_too(bob: str) -> None:
        async with sealed.store(signer=KEY) as store:
            sealed.clock.time += 100 * DAY
            await forget(sealed, store, how, bob)

    _, bob = run(one_is_forgotten())
    assert rows(sealed) == {("both", ""), ("both", bob), ("his", bob)}
    assert verify(sealed) == []
    run(the_other_too(bob))
    assert rows(sealed) == set()
    assert verify(sealed) == []


def test_what_one_was_given_twice_is_theirs_by_what_is_left(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "again", "once")
            sealed.clock.time += 100 * DAY
            await asked(sealed, make, store, "s2", "alice", "again")
            await purge(sealed, store, Retention.ENTRIES, 90)
            assert await store.owned(["again"], alice)
            assert not await store.owned(["once"], alice)

    run(scenario())
    assert verify(sealed) == []


def test_whoever_is_given_the_id_of_what_an_erasure_took_has_it_alone(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "a")
            await store.forgetting.erase(alice, ORDER)
            carol = await asked(sealed, make, store, "s2", "carol", "a")
            assert await store.owned(["a"], carol)

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("with_more", [False, True])
def test_a_row_that_somebody_puts_in_under_a_purged_entry_is_found(
    sealed: Any, make: Any, run: Any, with_more: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            await asked(sealed, make, store, "s1", "alice", "a")
            sealed.clock.time += 100 * DAY
            if with_more:
                await asked(sealed, make, store, "s2", "bob", "b")
            await purge(sealed, store, Retention.ENTRIES, 90)

    run(scenario())
    assert verify(sealed) == []
    change(sealed, f"{INSERT} ('a', 2, 'mallory')")
    assert verify(sealed) == [of_entry(2, NOBODY_SAYS_SO)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM kept_results WHERE owner = ''", [of_entry(2, NO_ROW)]),
        (
            "UPDATE kept_results SET owner = 'mallory' WHERE owner = ''",
            [of_entry(2, NO_ROW), of_entry(2, NOBODY_SAYS_SO)],
        ),
        (f"{INSERT} ('b', 2, '')", [of_entry(2, NOBODY_SAYS_SO)]),
        (f"{INSERT} ('c', 5, '')", [of_entry(5, NOBODY_SAYS_SO)]),
        (f"{INSERT} ('b', 99, '')", [of_entry(99, NOBODY_SAYS_SO)]),
    ],
)
def test_a_row_without_an_owner_is_where_an_erasure_left_it_and_nowhere_else(
    sealed: Any, make: Any, run: Any, statement: str, said: list[str]
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "both")
            await asked(sealed, make, store, "s2", "bob", "both", "b")
            await store.forgetting.erase(alice, ORDER)

    run(scenario())
    assert verify(sealed) == []
    change(sealed, statement)
    assert verify(sealed) == said


def test_an_erasure_takes_many_rows_in_many_transactions_and_goes_on_after_a_crash(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_rows, "ROWS_AT_ONCE", 3)
    batches = [0]
    take = kept_rows.take_person

    def crashing(*of: Any) -> int:
        batches[0] += 1
        if batches[0] == 3:
            raise ValueError("a crash")
        return take(*of)

    async def scenario() -> str:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", *(f"a{n}" for n in range(4)), "both")
            for n in range(8):
                await store.append(kept("s1", alice, f"later{n}"))
            await asked(sealed, make, store, "s2", "bob", "both")
            with monkeypatch.context() as patched:
                patched.setattr(kept_rows, "take_person", crashing)
                with pytest.raises(ValueError, match="a crash"):
                    await store.forgetting.erase(alice, ORDER)
            return alice

    async def resumed(alice: str) -> None:
        async with sealed.store(signer=KEY) as store:
            with monkeypatch.context() as patched:
                patched.setattr(kept_rows, "take_person", crashing)
                assert await store.forgetting.resume_erasures() == 1
            assert not await store.owned(["a0"], alice)

    alice = run(scenario())
    assert 0 < len([owner for _, owner in rows(sealed) if owner == alice]) < 8
    assert verify(sealed) == []
    run(resumed(alice))
    assert batches[0] > 4
    assert {name for name, _ in rows(sealed)} == {"both"}
    assert verify(sealed) == []


def with_many(place: Any, owner: str) -> None:
    """A thousand rows more of the same entry, and twenty times as many of others."""
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                f"{INSERT.removesuffix(' VALUES')}"
                " WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 20000)"
                " SELECT 'many' || n, CASE WHEN n % 20 = 0 THEN 2 ELSE 1000 + n / 2 END,"
                f" CASE WHEN n % 20 = 0 THEN '{owner}' ELSE 'other' || n % 50 END FROM more"
            )
        )
        connection.execute(text("ANALYZE"))
    engine.dispose()


def plans(place: Any, statements: dict[str, Any]) -> Iterator[str]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        for statement, parameters in statements.items():
            steps = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            yield "\n".join(str(step[-1]) for step in steps)
    engine.dispose()


@pytest.mark.parametrize("how", ["purged", "erased"])
def test_only_the_rows_of_the_forgotten_and_of_their_names_are_read(
    sealed: Any, make: Any, run: Any, how: str
) -> None:
    statements: dict[str, Any] = {}

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "kept_results" in statement and not statement.startswith("INSERT"):
            statements[statement] = parameters

    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "a")
            sealed.clock.time += 100 * DAY
            with_many(sealed, alice)
            event.listen(Engine, "before_cursor_execute", listen)
            try:
                await forget(sealed, store, how, alice)
            finally:
                event.remove(Engine, "before_cursor_execute", listen)

    run(scenario())
    assert len(rows(sealed)) == 19_000
    assert len(statements) == (4 if how == "erased" else 3)
    for plan in plans(sealed, statements):
        assert how == "purged" or "kept_results_owner" in plan, plan
        assert "SCAN" not in plan, plan
        assert "Seq Scan" not in plan, plan
