"""An erasure that was cut off is completed later, and takes no more for it than when it was ordered."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.store.test_store_erased_names import ISSUER, asked
from tests.store.test_store_forgetting import ORDER
from tests.store.test_store_grants_forgotten import granted
from tests.store.test_verify_forgotten import KEY, change, fill, verify

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import Erasure
from authz_service.core.forgetting import Order
from authz_service.errors import Unavailable
from authz_service.keys.master_key import master_key_from_file
from authz_service.store import forgetting
from authz_service.store.forgetting import LATE_SECONDS, Forgetting
from authz_service.store.keyring import Keyring
from authz_service.store.open_keys import open_keyring
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store
from authz_service.view.caller import Caller

ALICE = Caller(ISSUER, "alice", 0.0)
STEPS = ("_destroy", "_carry_out")


async def cut_off(
    place: Any, store: Any, monkeypatch: pytest.MonkeyPatch, step: str = "_destroy", who: str = "alice"
) -> None:
    """An erasure is ordered, and comes as far as this step."""

    async def away(*_: Any) -> None:
        raise Unavailable("the key store is away", code="key_store_unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(Forgetting, step, away)
        with pytest.raises(Unavailable):
            await store.forgetting.erase(place.pseudonym((ISSUER, who)), ORDER)


async def tombstones(store: Any) -> list[str]:
    return [entry.kind for entry in await store.entries("record.retention")]


async def is_readable(store: Any, session: str) -> bool:
    return bool((await store.entries(session))[1].payloads)


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


def test_an_order_of_an_earlier_version_named_no_keys_and_is_completed_as_it_was(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            erasure = Erasure(99, 0, sealed.pseudonym(ALICE.identity), has_named_keys=False)
            await store.forgetting._destroy(erasure)
            assert len((await store.forgetting._carry_out(erasure)).keys) == 1
            assert not await is_readable(store, "s1")

    run(scenario())


def test_two_processes_that_complete_the_same_erasure_leave_one_tombstone(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ALICE)
            settled, carry_out = Forgetting._settled, Forgetting._carry_out

            async def other_first(self: Forgetting, erasure: Erasure) -> None:
                with monkeypatch.context() as patched:
                    patched.setattr(Forgetting, "_settled", settled)
                    await carry_out(self, erasure)

            monkeypatch.setattr(Forgetting, "_settled", other_first)
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
                patched.setattr(forgetting, "SETTLE_SECONDS", 35.0)
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
