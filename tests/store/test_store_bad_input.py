"""What is large, odd or comes at a bad moment is recorded as it is or refused by name, and nothing is lost.

Each test ends with the verification of the whole record.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.test_store_faults import set_most_pages

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import LARGEST_ENTRY
from authz_service.errors import Unavailable, Unreadable
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


def assert_verifies(place: Any, size: int) -> None:
    keyring = None if place.keys is None else place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=())
    finally:
        if keyring is not None:
            keyring.close()
    assert (report.size, report.wrong) == (size, [])


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


def test_a_payload_of_50_mb_is_recorded_read_and_verified(sealed: Any, make: Any, run: Any) -> None:
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
