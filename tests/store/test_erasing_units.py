"""What an erasure takes of one session with much in it goes in small units, and is read beside the writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.store.erased_names import ZELDA, asked
from tests.store.forgetting import ORDER, rows
from tests.store.forgotten import KEY, verify

from authz_service.core.holds import Verdict
from authz_service.errors import Unavailable
from authz_service.store import erasing, erasing_units, kept_rows, purging
from authz_service.store.transaction import Transaction


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """How many payloads, holds and results each unit of an erasure has: at most three."""
    taken: dict[str, list[int]] = {"delete_payloads": [], "forget_holds": []}

    def watch(name: str) -> None:
        real = getattr(purging, name)

        def takes(transaction: Any, some: Sequence[Any]) -> Any:
            taken[name].append(len(some))
            return real(transaction, some)

        monkeypatch.setattr(purging, name, takes)

    for name in taken:
        watch(name)
    for name in ("PAYLOADS", "HOLDS"):
        for most in ("FIRST", "FEWEST", "MOST"):
            monkeypatch.setattr(erasing_units, f"{most}_{name}", 3)
    return taken


async def said_much(place: Any, make: Any, store: Any) -> None:
    """One session with ten payloads, and four of which a request waited."""
    pseudonym = place.pseudonym(ZELDA.identity)
    await asked(place, make, store, "hers")
    more = [make.released("hers", f"more {number}".encode()) for number in range(8)]
    await store.append(*(replace(draft, subject=pseudonym) for draft in more))
    for number in range(4):
        draft = make.hold(f"held {number}", request=f"r{number}", caller=make.caller("zelda-q7"))
        entries = [
            replace(
                e, subject=pseudonym, data={**e.data, **({"caller": pseudonym} if "caller" in e.data else {})}
            )
            for e in draft.entries
        ]
        hold = (await store.open_hold(replace(draft, entries=tuple(entries)), make.limits)).hold
        await store.vote(make.ballot(hold, "rita", Verdict.REJECT), make.limits)
        await store.append(make.ended(f"held {number}"))


def test_payloads_and_holds_go_a_few_in_each_unit_that_reads_no_entry(
    sealed: Any, make: Any, run: Any, units: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[bool] = []
    add_entries = erasing._add_entries

    def adds(reader: Any, *of: Any) -> Any:
        beside.append(not isinstance(reader, Transaction))
        return add_entries(reader, *of)

    monkeypatch.setattr(erasing, "_add_entries", adds)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await said_much(sealed, make, store)
            erased = await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert (erased.sessions, erased.payloads) == (5, sum(units["delete_payloads"]))
            left = rows(sealed, "SELECT key FROM payloads")
            assert not {key for (key,) in left} & set(erased.keys)

    run(scenario())
    assert units["delete_payloads"][:-1] == [3] * (len(units["delete_payloads"]) - 1)
    assert (sum(units["delete_payloads"]) > 10, units["forget_holds"]) == (True, [3, 1])
    assert (beside, rows(sealed, "SELECT id FROM holds")) == ([True], [])
    assert verify(sealed) == []


def test_an_erasure_that_is_cut_off_between_two_units_of_a_session_is_completed(
    sealed: Any, make: Any, run: Any, units: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = purging.delete_payloads

    def cut_off(transaction: Any, some: Sequence[Any]) -> Any:
        if len(units["delete_payloads"]) == 2:
            raise Unavailable("the disk is full", code="store_unavailable")
        return counting(transaction, some)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await said_much(sealed, make, store)
            with monkeypatch.context() as patched:
                patched.setattr(purging, "delete_payloads", cut_off)
                with pytest.raises(Unavailable):
                    await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
        assert verify(sealed) == []
        async with sealed.store(signer=KEY) as store:
            assert await store.forgetting.resume_erasures() == 1
            assert not any(entry.payloads for entry in await store.entries("hers"))

    run(scenario())
    assert verify(sealed) == []


def test_the_results_of_a_person_go_as_many_as_are_asked_for(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[int] = []
    take = kept_rows.take_person

    def takes(transaction: Any, erasure: Any, most: int) -> int:
        asked_for.append(most)
        return take(transaction, erasure, most)

    monkeypatch.setattr(kept_rows, "take_person", takes)
    monkeypatch.setattr(erasing_units, "FIRST_RESULTS", 7)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers")
            await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)

    run(scenario())
    assert asked_for == [7]
