"""What may be used once is used once on both databases, with its entry; the verification derives the rows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import create_engine, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.used_once import once
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.once_rows import use_once
from authz_service.store.record_reader import reading
from authz_service.store.schema import entries, used_once
from authz_service.store.transaction import Transaction
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


def entry(until: float, *names: str) -> EntryDraft:
    return EntryDraft(
        Kind.LOGIN_ACCEPTED, data={"used": [once("assertion", name) for name in names], "until": int(until)}
    )


def digests(place: Any) -> set[str]:
    engine = create_engine(place.url)
    with engine.connect() as connection:
        found = set(connection.execute(select(used_once.c.digest)).scalars())
    engine.dispose()
    return found


def count(place: Any) -> int:
    engine = create_engine(place.url)
    with engine.connect() as connection:
        found = len(connection.execute(select(entries.c.seq)).all())
    engine.dispose()
    return found


def wrong(place: Any) -> list[tuple[str, str]]:
    with reading(place.url) as reader:
        found = verify_store(reader, keys=[KEY.vkey], kept=()).wrong
    return sorted((each.record, each.what) for each in found)


def test_names_that_run_into_each_other_are_different_things() -> None:
    assert once("a", "b", "c") != once("a", "bc") != once("ab", "c")
    assert once("assertion", "x") == once("assertion", "x")


def test_what_was_used_is_refused_and_nothing_of_the_second_use_is_recorded(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            until = place.clock.time + 60
            await store.use_once(entry(until, "one", "two"))
            for names in (("one",), ("two",), ("three", "one")):
                with pytest.raises(Conflict) as caught:
                    await store.use_once(entry(until, *names))
                assert caught.value.code == "already_used"
            await store.use_once(entry(until, "three"))

    run(scenario())
    assert (len(digests(place)), count(place)) == (3, 2)
    assert wrong(place) == []


def test_of_a_hundred_at_once_one_wins_on_two_replicas(place: Any, run: Any) -> None:
    async def scenario() -> None:
        until = place.clock.time + 60
        async with place.store(instance="one", signer=KEY) as one:
            second = one if place.url.startswith("sqlite") else await place.open(instance="two", signer=KEY)
            uses = [store.use_once(entry(until, "it")) for store in (one, second) for _ in range(50)]
            results = await asyncio.gather(*uses, return_exceptions=True)
            if second is not one:
                await second.close()
        assert [isinstance(result, Conflict) for result in results].count(False) == 1

    run(scenario())
    assert count(place) == 1


def test_what_is_over_goes_five_minutes_later_and_the_verification_bears_it(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.use_once(entry(place.clock.time + 60, "old"))
            place.clock.time += 300
            await store.use_once(entry(place.clock.time + 60, "newer"))
            assert once("assertion", "old") in digests(place)
            place.clock.time += 61
            await store.use_once(entry(place.clock.time + 60, "newest"))

    run(scenario())
    assert digests(place) == {once("assertion", "newer"), once("assertion", "newest")}
    assert wrong(place) == []


def test_rows_that_somebody_takes_out_changes_or_puts_in_are_found(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.use_once(entry(place.clock.time + 60, "one", "two", "three"))

    run(scenario())
    assert wrong(place) == []
    one, two, three = (once("assertion", name) for name in ("one", "two", "three"))
    other = "0" * 64
    engine = create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(used_once.delete().where(used_once.c.digest == one))
        connection.execute(used_once.update().where(used_once.c.digest == two).values(until=1))
        connection.execute(used_once.update().where(used_once.c.digest == three).values(digest=other))
    engine.dispose()
    assert wrong(place) == sorted(
        [
            (f"used once {one}", "was used by entry 1, and has no row"),
            (f"used once {two}", "its columns are not what its entry makes of it"),
            (f"used once {three}", "was used by entry 1, and has no row"),
            (f"used once {other}", "has a row, and no entry"),
        ]
    )


def test_what_two_entries_used_is_found_though_the_rows_fit(place: Any, run: Any) -> None:
    digest = once("assertion", "one")

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.use_once(entry(place.clock.time + 60, "one"))
            engine = create_engine(place.url)
            with engine.begin() as connection:
                connection.execute(used_once.delete())
            engine.dispose()
            await store.use_once(entry(place.clock.time + 60, "one"))

    run(scenario())
    assert wrong(place) == [(f"used once {digest}", "was used by entry 1, and by entry 2")]


def test_what_was_forgotten_long_after_its_time_may_be_used_again(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.use_once(entry(place.clock.time + 60, "one"))
            place.clock.time += 361
            await store.use_once(entry(place.clock.time + 60, "other"))
            await store.use_once(entry(place.clock.time + 60, "one"))

    run(scenario())
    assert wrong(place) == []


def test_a_replay_is_refused_before_anything_is_changed() -> None:
    found = SimpleNamespace(first=lambda: ("d",), rowcount=0)
    connection = SimpleNamespace(execute=lambda *_: found)
    ledger = SimpleNamespace(now=0, flush=lambda _connection: None)
    transaction = Transaction(cast("Any", connection), cast("Any", ledger), cast("Any", str))
    with pytest.raises(Conflict):
        use_once(transaction, entry(60.0, "one"))
    assert transaction.changes == 0  # else all that is committed with it is done again, one by one
