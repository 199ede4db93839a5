"""A legal hold on a person keeps all that they have a part in, until it is lifted; verification agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.store.forgetting import DAY, ORDER, purge_all, request, require_whole, rows
from tests.store.forgotten import KEY, change, of, verify
from tests.store.forgotten_exports import exported
from tests.store.kept_people import ADA, searched, took_part

from authz_service.audit.retention import Retention


def of_ada(place: Any, store: Any) -> int:
    """How many payloads are under her key."""
    (key,) = store._keyring.held(place.pseudonym(ADA.identity))
    return int(rows(place, f"SELECT count(*) FROM payloads WHERE key = '{key}'")[0][0])


@pytest.mark.parametrize("with_entries", [False, True])
def test_what_somebody_on_legal_hold_did_stays_until_it_is_lifted(
    sealed: Any, make: Any, run: Any, tmp_path: Path, with_entries: bool
) -> None:
    async def purge(store: Any) -> None:
        for of_class in (Retention.PAYLOADS, Retention.ENTRIES)[: 1 + with_entries]:
            planned = await store.forgetting.purge_preview(request(sealed, of=of_class))
            taken = await purge_all(store, request(sealed, of=of_class))
            assert (planned.entries, planned.payloads) == (taken.entries, taken.payloads)

    async def fill() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await took_part(sealed, make, store)
            hers = of_ada(sealed, store)
            assert hers >= 5
            ada = sealed.pseudonym(ADA.identity)
            keep = (await store.forgetting.keep(session=None, subject=ada, order=ORDER)).id
            sealed.clock.time += 100 * DAY
            await purge(store)
            assert of_ada(sealed, store) == hers
            for kept in ("bob's", "carol's"):
                assert not any(entry.missing for entry in await store.entries(kept))
            assert not any(entry.payloads for entry in await store.entries("bob's own"))
            await purge(store)
            assert of_ada(sealed, store) == hers
            tombstones = await store.entries("record.retention")
            passed = [name for entry in tombstones for name in entry.data.get("but", ())]
            assert {type(name) for name in passed} == {str, int}
            return str(keep)

    async def lift(keep: str) -> None:
        async with sealed.store(signer=KEY) as store:
            await store.forgetting.lift(keep, ORDER)
            await purge(store)
            assert of_ada(sealed, store) == 0
            assert not any(entry.payloads for entry in await store.entries("bob's"))

    keep = run(fill())
    assert (verify(sealed), exported(sealed, tmp_path / "kept").wrong) == ([], [])
    run(lift(keep))
    assert (verify(sealed), exported(sealed, tmp_path / "lifted").wrong) == ([], [])
    require_whole(sealed)


def test_what_was_passed_over_for_somebody_on_legal_hold_is_missed(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await took_part(sealed, make, store)
            ada = sealed.pseudonym(ADA.identity)
            await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed))
            (key,) = store._keyring.held(ada)
            return str(key)

    key = run(scenario())
    hers = rows(sealed, f"SELECT count(*) FROM payloads WHERE key = '{key}'")[0][0]
    change(sealed, f"DELETE FROM payloads WHERE key = '{key}'")
    assert len([line for line in verify(sealed) if line.endswith(": is not there")]) == hers
    assert len(exported(sealed, tmp_path / "out").wrong) == hers


def test_a_search_of_before_is_not_taken_with_what_is_older(sealed: Any, make: Any, run: Any) -> None:
    """It was passed over by a purge of all that there was; the next one is of what is older than it."""

    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(of(sealed, searched(sealed, ADA), "ada"))
            ada = sealed.pseudonym(ADA.identity)
            keep = await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            sealed.clock.time += 1
            assert (await purge_all(store, request(sealed, 0))).payloads == 0
            await store.forgetting.lift(keep.id, ORDER)
            assert (await purge_all(store, request(sealed, 90))).payloads == 0
            assert (await purge_all(store, request(sealed, 0))).payloads == 2

    run(scenario())
