"""What many tombstones, and much that is kept, cost whoever reads a session or waits for a purge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.store.forgetting import ALICE, DAY, ORDER, exchange, purge_all, request

from authz_service.store import forgotten_rows, keeping, purge_batches
from authz_service.store.purge_batches import LeftOver


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """The entries that it reads from now on."""
    read: list[Any] = []
    real = getattr(module, name)

    def reads(stored: Any) -> Any:
        read.append(stored)
        return real(stored)

    monkeypatch.setattr(module, name, reads)
    return read


def test_a_session_is_shown_without_another_look_at_the_tombstones(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            alice = sealed.pseudonym(ALICE)
            for number in range(5):
                await store.append(*exchange(make, f"old {number}", "bob"))
                sealed.clock.time += 100 * DAY
                await purge_all(store, request(sealed))
            received, *others = exchange(make, "hers")
            received = replace(received, data={**received.data, "caller": alice})
            await store.append(*(replace(draft, subject=alice) for draft in (received, *others)))
            await store.forgetting.erase(alice, ORDER)
            await store.entries("hers")
            tombstones = counted(monkeypatch, forgotten_rows, "sound")
            orders = counted(monkeypatch, keeping, "decode")
            assert all(entry.missing for entry in (await store.entries("old 0"))[2:4])
            assert (len(tombstones), len(orders)) == (0, 0)
            missing = [why for entry in await store.entries("hers") for why in entry.missing.values()]
            assert len(missing) == 3
            assert {why.split(" (")[0] for why in missing} == {"erased on 2028-05-29 by olga"}
            assert (len(tombstones), len(orders)) == (0, 1)
            await store.append(*exchange(make, "last", "bob"))
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed))
            assert (await store.entries("last"))[2].missing["body"].startswith("purged on ")
            assert len(tombstones) == 1

    run(scenario())


def test_what_is_kept_is_looked_at_once_in_a_run_of_a_purge(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    ready = purge_batches.ready

    def looks(reader: Any, wanted: Any, forgotten: Any, names: Sequence[Any]) -> Any:
        looked.extend(names)
        return ready(reader, wanted, forgotten, names)

    async def scenario() -> None:
        async with sealed.store() as store:
            for number in range(30):
                await store.append(*exchange(make, f"kept {number}"))
            await store.append(*exchange(make, "lifted", "carol"))
            keep = await store.forgetting.keep(session="lifted", subject=None, order=ORDER)
            await store.forgetting.keep(session=None, subject="p-alice", order=ORDER)
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed))
            for number in range(30):
                await store.append(*exchange(make, f"young {number}", "bob"))
            await store.forgetting.lift(keep.id, ORDER)
            sealed.clock.time += 100 * DAY
            monkeypatch.setattr(purge_batches, "ready", looks)
            monkeypatch.setattr(purge_batches, "ENTRIES_AT_ONCE", 10)
            assert (await purge_all(store, request(sealed))).payloads == 31 * 3
            assert len(looked) == 31
            assert len(await store.entries("record.retention")) > 15
            assert (await store.entries("kept 7"))[2].payloads
            looked.clear()
            await purge_all(store, request(sealed))
            assert len(looked) == 30

    run(scenario())


def test_what_is_kept_since_it_was_looked_at_is_not_taken(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "kept"))
            await store.append(*exchange(make, "free"))
            await store.forgetting.keep(session="kept", subject=None, order=ORDER)
            sealed.clock.time += 100 * DAY
            found = [["kept"]]
            monkeypatch.setattr(LeftOver, "take", lambda *_, **__: found.pop() if found else [])
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert (await store.entries("kept"))[2].payloads
            assert not (await store.entries("free"))[2].payloads

    run(scenario())
