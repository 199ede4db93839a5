"""Whose a kept result is, both databases say the same on every replica; the verification derives the rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.forgotten import DAY, KEY, ORDER, change, purge, verify
from tests.store.kept_results import NO_ROW, NOBODY_SAYS_SO, asked, kept, rows

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.kept import secret_of
from authz_service.errors import Unavailable
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.view.kept import Kept, Result


def test_each_caller_has_what_they_alone_were_given_on_every_replica(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as one:
            shared = place.url.startswith("sqlite")
            other = one if shared else await place.open(instance="two", signer=KEY)
            await one.append(make.received("s1"), kept("s1", "alice", "a", "b"), kept("s1", "alice", "a"))
            await one.append(make.received("s2"), kept("s2", "bob", "c", "both"), kept("s2", "alice", "both"))
            for store in (one, other):
                assert await store.owned(["a"], "alice")
                assert await store.owned(["a", "b"], "alice")
                assert await store.owned(["c"], "bob")
                for names, who in ((["a"], "bob"), (["a", "c"], "alice"), (["a", "d"], "alice")):
                    assert not await store.owned(names, who)
                for who in ("alice", "bob", ""):
                    assert not await store.owned(["both"], who)
                    assert not await store.owned(["d"], who)
            await one.append(kept("s2", "", "nobodys"))
            assert not await one.owned(["nobodys"], "")
            many = [f"n{number}" for number in range(1000)]
            await other.append(kept("s2", "bob", *many))
            assert await one.owned(many, "bob")
            assert not await one.owned([*many, "no"], "bob")
            if other is not one:
                await other.close()

    run(scenario())


def test_it_is_remembered_after_a_restart_and_in_the_order_of_the_record(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(make.received("s1"), kept("s1", "alice", "a"))
        async with place.store(signer=KEY) as store:
            assert await store.owned(["a"], "alice")
            with pytest.raises(ValueError, match="what is kept"):
                await store.append(EntryDraft(Kind.ANSWER_KEPT, "s1", {"caller": "alice", "names": "x"}))
            assert not await store.owned(["x"], "alice")

    run(scenario())
    assert rows(place) == {("a", "alice")}


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE kept_results SET owner = 'mallory' WHERE name = 'a'", [NOBODY_SAYS_SO, NO_ROW]),
        ("UPDATE kept_results SET name = 'c' WHERE name = 'a'", [NOBODY_SAYS_SO, NO_ROW]),
        ("DELETE FROM kept_results WHERE name = 'a'", [NO_ROW]),
        ("UPDATE kept_results SET seq = 1 WHERE name = 'a'", [NOBODY_SAYS_SO, NO_ROW]),
        ("INSERT INTO kept_results (name, seq, owner) VALUES ('c', 1, 'mallory')", [NOBODY_SAYS_SO]),
        ("INSERT INTO kept_results (name, seq, owner) VALUES ('c', 9, 'mallory')", [NOBODY_SAYS_SO]),
        ("INSERT INTO kept_results (name, seq, owner) VALUES ('c', 0, 'mallory')", [NOBODY_SAYS_SO]),
    ],
)
def test_rows_that_somebody_changes_takes_out_or_puts_in_are_found(
    sealed: Any, make: Any, run: Any, statement: str, what: list[str]
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            await asked(sealed, make, store, "s1", "alice", "a", "b")

    run(scenario())
    assert verify(sealed) == []
    change(sealed, statement)
    found = verify(sealed)
    assert sorted(line.rpartition(": ")[2] for line in found) == sorted(what)
    assert all(line.startswith("whose it is, what entry ") for line in found)


def test_it_goes_with_its_entry_and_stays_with_one_that_is_kept(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "a")
            bob = await asked(sealed, make, store, "s2", "bob", "b")
            await store.forgetting.keep(session="s2", subject=None, order=ORDER)
            sealed.clock.time += 100 * DAY
            await asked(sealed, make, store, "s3", "alice", "young")
            await purge(sealed, store, Retention.PAYLOADS, 90)
            assert await store.owned(["a"], alice)  # payloads are another matter
            await purge(sealed, store, Retention.ENTRIES, 90)
            assert not await store.owned(["a"], alice)
            assert await store.owned(["b"], bob)
            assert await store.owned(["young"], alice)

    run(scenario())
    assert {name for name, _ in rows(sealed)} == {"b", "young"}
    assert verify(sealed) == []


def test_an_erasure_takes_what_was_theirs_and_a_row_that_came_back_is_found(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY) as store:
            alice = await asked(sealed, make, store, "s1", "alice", "a")
            bob = await asked(sealed, make, store, "s2", "bob", "b")
            await store.forgetting.erase(alice, ORDER)
            assert not await store.owned(["a"], alice)
            assert await store.owned(["b"], bob)
            await asked(sealed, make, store, "s3", "alice", "since")
            assert await store.owned(["since"], alice)
            return alice

    alice = run(scenario())
    assert {name for name, _ in rows(sealed)} == {"b", "since"}
    assert verify(sealed) == []
    change(sealed, f"INSERT INTO kept_results (name, seq, owner) VALUES ('a', 2, '{alice}')")
    assert verify(sealed) == [f"whose it is, what entry 2 says is kept: {NOBODY_SAYS_SO}"]


def test_nothing_is_owned_where_the_store_cannot_be_asked(place: Any, run: Any) -> None:
    async def scenario() -> None:
        store = await place.open(signer=KEY)
        await store.close()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(store.owned(["a"], "alice"), 60)

    run(scenario())


def test_names_of_different_things_have_different_pseudonyms() -> None:
    of_key = Pseudonyms(b"k" * 32).of
    made = {
        of_key(secret_of(Kept(result, name), server=server))
        for result in Result
        for name, server in (("a", "bc"), ("ca", "b"), ("1", "1"), ("", "11"), ("x", "llama"), ("x", "qwen"))
    }
    assert len(made) == 6 * len(Result)
