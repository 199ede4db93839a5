"""A sealed payload whose seed has lost a byte is damaged: it ends neither the service nor a verification."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from structlog.testing import capture_logs
from tests.store.damaged_holds import code_of, opened
from tests.store.damaged_rows import put
from tests.store.forgetting import exchange
from tests.store.verifying import KEY

from authz_service.commands.audit_export import Wanted, export
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.keys.master_key import master_key_from_file
from authz_service.runtime.pacing import Pace
from authz_service.runtime.recorder import Recorder
from authz_service.runtime.waiting import Waiting
from authz_service.store.read_only import read_only_engine
from authz_service.store.record_keys import ReadKeys
from authz_service.store.record_reader import RecordReader, reading
from authz_service.store.verify_payloads import KEY_DAMAGED
from authz_service.store.verify_store import verify_store
from authz_verifier import verification

OF_BOB = [("caller", 6), ("body", 8), ("body", 9)]
"""The payloads of his session."""


def cut(place: Any, which: str = "1 = 1") -> None:
    put(place, f"UPDATE payloads SET salt = substr(salt, 1, 31) WHERE {which}")


def test_a_hold_with_it_is_damaged(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            hold = await opened(store, make)
            cut(sealed)
            assert await code_of(store.holds_now([hold.id])) == DAMAGED

    run(scenario())


def test_its_approval_is_not_passed_on_and_keeps_no_other_from_being(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            hold, other = await opened(store, make), await opened(store, make, "another")
            told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            of_damaged: list[Any] = []
            waiting = Waiting(store, Pace(lambda: 500.0))
            waiting.watch(hold.id, of_damaged.append, seconds=60.0)
            waiting.watch(other.id, told.set_result, seconds=60.0)
            cut(sealed, f"digest = (SELECT forward FROM holds WHERE id = '{hold.id}')")
            for one in (hold, other):
                await store.vote(make.ballot(one), make.limits)
            with capture_logs() as logs:
                following = asyncio.create_task(waiting.run())
                done, _ = await asyncio.wait({following, told}, timeout=50, return_when="FIRST_COMPLETED")
                assert done == {told}
                while not logs:
                    await asyncio.sleep(0.01)
            assert of_damaged == []
            assert [(line["event"], line["hold"]) for line in logs] == [("hold.not_passed_on", hold.id)]
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(scenario())


def test_verification_names_it(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))

    run(scenario())
    cut(sealed)
    keyring = sealed.keyring()
    try:
        with reading(sealed.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=())
    finally:
        keyring.close()
    assert report.count >= 3
    wrong = {found.record for found in report.wrong}
    assert {"payload body of entry 3", "payload body of entry 4"} <= wrong
    assert "entry 3" not in wrong


BOB = "UPDATE authz_subject_keys SET wrapped = zeroblob(60) WHERE subject = 'p-bob'"


@pytest.fixture
def bobs_key_damaged(sealed: Any, make: Any, run: Any) -> Any:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"), *exchange(make, "s2", "bob"))

    run(scenario())
    engine = create_engine(sealed.keys_url)
    with engine.begin() as connection:
        assert connection.execute(text(BOB)).rowcount == 1
    engine.dispose()
    return sealed


@contextmanager
def read_beside(place: Any) -> Iterator[RecordReader]:
    keys = read_only_engine(place.keys / "keys.db")
    with keys.connect() as connection:
        read = ReadKeys(connection, master_key_from_file(place.keys / "master.key"))
        with reading(place.url, read) as reader:
            yield reader
    keys.dispose()


def test_verification_names_what_a_damaged_key_sealed_and_verifies_the_rest(bobs_key_damaged: Any) -> None:
    with read_beside(bobs_key_damaged) as reader:
        report = verify_store(reader, keys=[KEY.vkey], kept=())
    wrong = {found.record: found.what for found in report.wrong}
    assert wrong == {f"payload {name} of entry {entry}": KEY_DAMAGED for name, entry in OF_BOB}


def test_an_export_leaves_it_out_and_the_verifier_says_what_is_not_there(
    bobs_key_damaged: Any, tmp_path: Path
) -> None:
    with read_beside(bobs_key_damaged) as reader:
        wanted = Wanted((str(KEY.vkey),), 1, 10)
        done = export(reader, tmp_path / "out", wanted, lambda done, size: None)
    assert (done.entries, done.damaged) == (10, len(OF_BOB))
    wrong = verification.verify(tmp_path / "out", [str(KEY.vkey)]).wrong
    assert {record for record, _ in wrong} == {f"payload {name} of entry {entry}" for name, entry in OF_BOB}


def test_a_service_reads_and_writes_beside_a_damaged_key(bobs_key_damaged: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with bobs_key_damaged.store(signer=KEY) as store:
            with capture_logs() as logs:
                read = await store.entries("s2")
            assert [list(entry.missing) for entry in read] == [["caller"], [], ["body"], ["body"], []]
            assert "key.damaged" in {line["event"] for line in logs}
            assert not any(entry.missing for entry in await store.entries("s1"))
            await store.append(*exchange(make, "s3"))
            with pytest.raises(Unavailable) as refused:
                await store.append(*exchange(make, "s4", "bob"))
            assert refused.value.code == DAMAGED

    run(scenario())


def test_what_is_recorded_late_of_others_does_not_wait_for_whoever_has_a_damaged_key(
    bobs_key_damaged: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with bobs_key_damaged.store(signer=KEY) as store:
            await store.append(*exchange(make, "s3", end=False))
            recorder = Recorder(store)
            recorder.later(tuple(exchange(make, "s4", "bob")))
            recorder.later((make.ended("s3"),))
            with capture_logs() as logs:
                await recorder.drain()
            assert recorder.backlog == 0
            assert (await store.entries("s3"))[-1].kind == "exchange.ended"
            assert await store.entries("s4") == []
            (said,) = (line for line in logs if line["event"] == "recorder.refused")
            assert said["kind"] == "request.received"
            assert "a key of the record is damaged" in said["error"]

    run(scenario())


def test_a_key_that_is_no_bytes_is_a_damaged_one(bobs_key_damaged: Any, make: Any, run: Any) -> None:
    """SQLite takes it, whatever a column is declared as."""
    engine = create_engine(bobs_key_damaged.keys_url)
    with engine.begin() as connection:
        connection.execute(text(BOB.replace("zeroblob(60)", "'a text'")))
    engine.dispose()

    async def scenario() -> None:
        async with bobs_key_damaged.store(signer=KEY) as store:
            assert await code_of(store.append(*exchange(make, "s4", "bob"))) == DAMAGED
            assert sum(bool(entry.missing) for entry in await store.entries("s2")) == 3

    run(scenario())
