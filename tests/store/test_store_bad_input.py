"""What is large, odd or comes at a bad moment is recorded as it is or refused by name, and nothing is lost.

Each test ends with the verification of the whole record.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.store.full_disks import set_most_pages
from tests.store.postgres_for_tests import PostgresForTests
from tests.store.verifying import KEY, assert_verifies

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import LARGEST_ENTRY
from authz_service.commands.audit_export import Wanted, export
from authz_service.errors import Unavailable, Unreadable
from authz_service.store.record_reader import reading
from authz_verifier import verification

WAL_SEGMENT = 16 * 1024 * 1024  # the server ends where it cannot write its own log


def test_an_entry_as_large_as_may_be_is_recorded_and_one_byte_more_is_refused(
    sealed: Any, make: Any, run: Any
) -> None:
    def noted(length: int) -> EntryDraft:
        return EntryDraft(Kind.SERVICE_STOPPED, data={"note": "x" * length})

    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            await store.append(make.received("s1"))
            await store.append(noted(1000))
            [entry] = await store.entries_after(1)
            room = LARGEST_ENTRY - len(entry.body) + 1000
            with pytest.raises(Unreadable, match="64 KiB"):
                await store.append(noted(room + 1))
            await store.append(noted(room))
            [largest] = await store.entries_after(2)
            assert len(largest.body) == LARGEST_ENTRY

    run(scenario())
    assert_verifies(sealed, 3)


def test_a_payload_of_50_mb_is_recorded_read_verified_and_exported(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    large = bytes(range(256)) * (50_000_000 // 256)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, patience=25.0) as store:
            await store.append(make.received("s1"), make.released("s1", large), make.ended("s1"))
            _, released, _ = await store.entries("s1")
            assert released.payloads["body"] == large
            while await store.index_step(has_texts=True):
                pass

    run(scenario())
    assert_verifies(sealed, 3)
    keyring = sealed.keyring()
    try:
        with reading(sealed.url, keyring) as reader:
            export(reader, tmp_path / "out", Wanted([str(KEY.vkey)], 1, 3), lambda done, size: None)
    finally:
        keyring.close()
    told = verification.verify(tmp_path / "out")
    assert (told.wrong, told.payloads) == ([], 2)
    assert large in (tmp_path / "out/payloads/000").read_bytes()


def test_bytes_that_are_no_utf_8_are_payloads_like_any_other(sealed: Any, make: Any, run: Any) -> None:
    body = b'{"messages": "caf\xe9 \xff\xfe\x00 word"}'

    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            lone = EntryDraft(Kind.REQUEST_DECIDED, "s1", {"effect": "allow", "rule": "a\x00b", "model": "é"})
            await store.append(make.received("s1", "jürgen\x00"), lone, make.released("s1", body))
            await store.append(make.ended("s1"))
            released = (await store.entries("s1"))[2]
            assert released.payloads["body"] == body
            while await store.index_step(has_texts=True):
                pass

    run(scenario())
    assert_verifies(sealed, 4)


def test_a_lone_surrogate_has_no_bytes_and_is_refused_alone(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            odd = EntryDraft(Kind.REQUEST_DECIDED, "s1", {"effect": "allow", "rule": "\ud800"})
            said = await asyncio.gather(
                store.append(make.received("s1")),
                store.append(odd),
                store.append(make.ended("s1")),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [type(None), ValueError, type(None)]

    run(scenario())
    assert_verifies(sealed, 2)


def test_a_disk_that_is_full_in_the_middle_of_a_group_refuses_what_needs_room_and_no_more(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = make.place(sqlite_url)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(make.received("s1"), make.released("s1", b"x" * 100_000))
            await set_most_pages(store, 1)  # it becomes the present size
            pages = await store._writer.run(
                lambda t: t._connection.exec_driver_sql("PRAGMA page_count").scalar()
            )
            await set_most_pages(store, pages + 20)
            said = await asyncio.gather(
                store.append(make.received("s2")),
                store.append(make.released("s2", b"y" * 500_000)),
                store.append(make.received("s3")),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [type(None), Unavailable, type(None)]
            kinds = [e.kind for s in ("s2", "s3") for e in await store.entries(s)]
            assert kinds == ["request.received", "request.received"]

    run(scenario())
    assert_verifies(place, 4)


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    server = SmallDisk(Path(tempfile.mkdtemp(prefix="authz-postgres-")))
    yield server
    server.remove()


class SmallDisk(PostgresForTests):
    """A server of a test's own whose files can be kept from growing."""

    def start_again(self, *, largest_file: int = resource.RLIM_INFINITY) -> None:
        """With files of at most so many bytes each (RLIMIT_FSIZE, which its processes inherit)."""
        self.kill()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, before[1]))
        try:
            self.start()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.postgres
def test_a_postgresql_whose_disk_is_full_refuses_what_needs_room_and_goes_on_by_itself(
    small_disk: SmallDisk, make: Any, run: Any
) -> None:
    place = make.place(small_disk.url(small_disk.create()))
    small_disk.start_again(largest_file=WAL_SEGMENT + 1_000_000)

    async def scenario() -> int:
        async with place.store(signer=KEY) as store:
            await store.append(make.received("s1"))
            large = os.urandom(1_000_000)
            refusals: list[Unavailable] = []
            while not refusals:
                try:
                    await store.append(make.released("s1", large))
                except Unavailable as refused:
                    refusals.append(refused)
            assert "XX000" in str(refusals[0].__cause__)  # "could not extend file: File too large"
            said = await asyncio.gather(
                store.append(make.received("s2")),
                store.append(make.released("s2", large)),
                store.append(make.received("s3")),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [type(None), Unavailable, type(None)]
            assert [len(await store.entries(s)) for s in ("s2", "s3")] == [1, 1]
            await asyncio.to_thread(small_disk.start_again)
            await store.append(make.released("s2", large))
            size: int = await store.last_sequence()
            return size

    assert_verifies(place, run(scenario()))
