"""An erasure that was cut off is completed later, and takes no more for it than when it was ordered."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_rows import put
from tests.store.erased_names import asked
from tests.store.erasures_cut_off import ALICE, cut_off, is_readable
from tests.store.forgetting import ORDER, rows
from tests.store.forgotten import KEY, change, fill, of, verify
from tests.store.grants_forgotten import granted

from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.audit.forgotten import SESSION, Erasure
from authz_service.core.forgetting import Order
from authz_service.core.holds import Verdict
from authz_service.keys.master_key import master_key_from_file
from authz_service.store import erasures
from authz_service.store.erasures import LATE_SECONDS, Erasures
from authz_service.store.keyring import Keyring
from authz_service.store.open_keys import open_keyring
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

STEPS = ("_destroy", "_carry_out")


async def tombstones(store: Any) -> list[str]:
    return [entry.kind for entry in await store.entries("record.retention")]


@pytest.mark.parametrize("is_ordered_again", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_what_is_said_after_the_order_outlives_it_however_late_it_is_completed(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str, is_ordered_again: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            await cut_off(sealed, store, monkeypatch, step)
            if is_ordered_again:
                await store.forgetting.erase(sealed.pseudonym(ALICE.identity), ORDER)
            await asked(sealed, make, store, "back", ALICE)
        async with sealed.store(signer=KEY) as store:
            assert await store.forgetting.resume_erasures() == (not is_ordered_again)
            assert await is_readable(store, "back")
            assert not await is_readable(store, "s1")
            assert (await tombstones(store)).count(Kind.RECORD_ERASED) == 1

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_running_service_completes_what_was_cut_off_and_nothing_that_is_under_way(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            assert await store.forgetting.complete_erasures() == 0
            await cut_off(sealed, store, monkeypatch, step)
            sealed.clock.time += LATE_SECONDS
            assert await store.forgetting.complete_erasures() == 0
            sealed.clock.time += 1.0
            assert await store.forgetting.complete_erasures() == 1
            assert await store.forgetting.complete_erasures() == 0
            assert not await is_readable(store, "s1")
            assert (await tombstones(store))[-1] == Kind.RECORD_ERASED

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("who", ["alice", "bob", "rita", "rob"])
@pytest.mark.parametrize("step", ["_destroy", "_carry_out", "_settled"])
def test_verification_names_nothing_that_an_erasure_has_not_come_to(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str, who: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            grant = await granted(sealed, make, store)
            await store.revoke_grant(grant.id, by=make.maker("rob"))
            await fill(sealed, make, store)
            await asked(sealed, make, store, "s1", ALICE)
            await cut_off(sealed, store, monkeypatch, step, who)

    run(scenario())
    assert verify(sealed) == []
    change(sealed, "UPDATE sessions SET model = 'another' WHERE id = 's1'")
    assert verify(sealed) == ["session s1: its column model is not what its entries make of it"]


def test_a_legal_hold_that_was_placed_since_the_order_is_waited_for(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            await cut_off(sealed, store, monkeypatch)
            keep = await store.forgetting.keep(session="s1", subject=None, order=ORDER)
            assert await store.forgetting.resume_erasures() == 0
            assert await is_readable(store, "s1")
            await store.forgetting.lift(keep.id, ORDER)
            assert await store.forgetting.resume_erasures() == 1
            assert not await is_readable(store, "s1")

    run(scenario())
    assert verify(sealed) == []


def test_an_order_of_an_earlier_version_named_no_keys_and_is_completed_by_one_that_does(
    sealed: Any, make: Any, run: Any
) -> None:
    """By the same key lies what was said up to then; what is said after that has another."""
    alice = sealed.pseudonym(ALICE.identity)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            data: Data = {"subject": alice, "also": ["another"]}
            await store.append(EntryDraft(Kind.RECORD_ERASURE_ORDERED, SESSION, data))
            await store.append(of(sealed, make.received("open"), "alice"))
            with capture_logs() as logs:
                assert await store.forgetting.resume_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_waits"]
            await store.append(make.ended("open"))
            assert await store.forgetting.resume_erasures() == 1
            await asked(sealed, make, store, "back", ALICE)
            assert await store.forgetting.resume_erasures() == 0
            assert (await is_readable(store, "s1"), await is_readable(store, "back")) == (False, True)
            assert (await tombstones(store)).count(Kind.RECORD_ERASED) == 1
            again = (await store.entries("record.retention"))[1]
            assert (again.kind, again.data["also"]) == (Kind.RECORD_ERASURE_ORDERED, ["another"])

    run(scenario())
    assert verify(sealed) == []


def test_an_erasure_whose_keys_came_back_is_repeated_once_what_was_damaged_at_the_start_can_be_read(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    alice = sealed.pseudonym(ALICE.identity)

    async def erased() -> tuple[str, Any]:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            hold = (await store.open_hold(make.hold("h", caller=make.caller("zed")), make.limits)).hold
            await store.vote(make.ballot(hold, "rita", Verdict.REJECT), make.limits)
            await store.append(make.ended("h"))
        shutil.copy(sealed.keys / "keys.db", tmp_path / "backup.db")
        async with sealed.store(signer=KEY) as store:
            await store.forgetting.erase(alice, ORDER)
        shutil.copy(tmp_path / "backup.db", sealed.keys / "keys.db")
        ((seq, leaf),) = rows(sealed, "SELECT v.seq, e.leaf FROM votes v JOIN entries e ON e.seq = v.seq")
        return str(seq), leaf

    async def restored(seq: str, leaf: Any) -> None:
        put(sealed, "UPDATE votes SET voter = '5' WHERE seq = :seq", seq=int(seq))
        put(sealed, "UPDATE entries SET leaf = :leaf WHERE seq = :seq", leaf=b"another", seq=int(seq))
        async with sealed.store(signer=KEY) as store:
            assert len(store._keyring.held(alice)) == 1
            with capture_logs() as logs:
                assert await store.forgetting.resume_erasures() == 0
                assert await store.forgetting.complete_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_failed"] * 2
            assert store._keyring.held(alice) == []
            put(sealed, "UPDATE entries SET leaf = :leaf WHERE seq = :seq", leaf=bytes(leaf), seq=int(seq))
            assert await store.forgetting.complete_erasures() == 1
            assert await store.forgetting.complete_erasures() == 0
            assert (await tombstones(store)).count(Kind.RECORD_ERASED) == 2

    run(restored(*run(erased())))


def test_two_processes_that_complete_the_same_erasure_leave_one_tombstone(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            settled, carry_out = Erasures._settled, Erasures._carry_out

            async def other_first(self: Erasures, erasure: Erasure) -> None:
                with monkeypatch.context() as patched:
                    patched.setattr(Erasures, "_settled", settled)
                    await carry_out(self, erasure)

            monkeypatch.setattr(Erasures, "_settled", other_first)
            await store.forgetting.erase(sealed.pseudonym(ALICE.identity), ORDER)
            assert (await tombstones(store)).count(Kind.RECORD_ERASED) == 1

    run(scenario())
    assert verify(sealed) == []


def test_an_officer_who_erases_themselves_is_gone_from_the_order_too(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            order = Order("alice", "I leave", ALICE.identity)
            await store.forgetting.erase(sealed.pseudonym(ALICE.identity), order)
            (ordered, _) = await store.entries("record.retention")
            assert ordered.payloads == {}
            assert ordered.missing["order"].startswith("erased on ")

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.postgres
def test_what_another_replica_seals_under_the_old_key_is_accounted_for(
    postgres: Any, postgres_url: str, make: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, keys = make.place(postgres_url), postgres.create()
    master = partial(master_key_from_file, tmp_path / "master.key")
    slept: list[float] = []

    def keyring() -> Keyring:
        return open_keyring(postgres.url(keys), lambda may_create: master(may_create=may_create))

    async def scenario() -> None:
        async with (
            place.store(signer=KEY, is_first_signer=True, keyring=keyring()) as store,
            place.store(signer=KEY, instance="two", keyring=keyring()) as other,
        ):
            await asked(place, make, other, "s1", ALICE)

            async def sleep(seconds: float) -> None:
                slept.append(seconds)
                await asked(place, make, other, "late", ALICE)

            with monkeypatch.context() as patched:
                patched.setattr(erasures, "SETTLE_SECONDS", 35.0)
                patched.setattr(asyncio, "sleep", sleep)
                await store.forgetting.erase(place.pseudonym(ALICE.identity), ORDER)
            (_, late, _) = await store.entries("late")
            assert late.payloads == {}
            assert late.missing["body"].startswith("erased on ")

    run(scenario())
    assert slept == [35.0]
    opened = keyring()
    try:
        with reading(place.url, opened) as reader:
            assert verify_store(reader, keys=[KEY.vkey], kept=[]).wrong == []
    finally:
        opened.close()
        postgres.drop(keys)
