"""Whatever is changed in a store is found and named, on both databases; what nobody changed is fine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import (
    insert,
    update,
)
from tests.store.damaged_rows import put
from tests.store.filled_record import KEY, change, found, rows_of, verify
from tests.store.forgetting import exchange
from tests.store.places import Place

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.record_reader import reading
from authz_service.store.schema import (
    entries,
    holds,
    payloads,
    sessions,
    votes,
)
from authz_service.store.verify_store import verify_store


def test_a_store_that_nobody_changed_is_fine(filled: Any) -> None:
    report = verify(filled)
    assert report.wrong == []
    assert (report.count, report.signed_by, report.origin) == (0, str(KEY.vkey), "example.com/log")
    assert report.size == len(rows_of(filled, entries))
    assert report.payloads == len(rows_of(filled, payloads))
    assert verify(filled, with_payloads=False).wrong == []


def test_an_empty_store_is_fine(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(EntryDraft(Kind.SERVICE_STARTED))

    run(scenario())
    assert found(place) == []


def test_a_changed_entry_is_named_and_so_are_all_others(filled: Any) -> None:
    for number in (3, 5):
        body = rows_of(filled, entries)[number - 1].body
        changed = body.replace(b'"v":1', b'"v":1 ')
        change(filled, update(entries).where(entries.c.seq == number).values(body=changed))
    what = "its bytes and its leaf hash do not fit each other"
    assert [(r, w) for r, w in found(filled) if w == what] == [("entry 3", what), ("entry 5", what)]
    assert not [
        r for r, _ in found(filled) if r.startswith("entries")
    ]  # the stored hashes make the signed tree


def test_a_missing_entry_is_named(filled: Any) -> None:
    change(filled, entries.delete().where(entries.c.seq.in_([4, 5, 6])))
    assert ("entries 4 to 6", "missing") in found(filled)


def test_a_changed_row_of_a_session_is_named_with_its_column(filled: Any) -> None:
    change(filled, update(sessions).where(sessions.c.id == "s1").values(decision="deny", person="mallory"))
    what = "its column {} is not what its entries make of it"
    assert found(filled) == [("session s1", what.format("person")), ("session s1", what.format("decision"))]
    change(filled, sessions.delete().where(sessions.c.id == "s1"))
    assert found(filled) == [("session s1", "has entries, and no row")]


def test_rows_that_were_put_in_are_found(filled: Any) -> None:
    session = rows_of(filled, sessions)[0]._asdict()
    payload = {"digest": bytes(32), "salt": bytes(32), "body": b""}
    vote = rows_of(filled, votes)[0]._asdict()
    hold = rows_of(filled, holds)[0]._asdict()
    change(
        filled,
        insert(sessions).values(session | {"id": "forged", "seq": 1}),
        insert(payloads).values(payload),
        insert(votes).values(vote | {"seq": 9999, "idempotency_key": None}),
        insert(holds).values(hold | {"id": "forged", "seq": 9999, "state": "released"}),
    )
    assert found(filled) == [
        ("session forged", "has a row, and no entry that it begins with"),
        ("hold forged", "has a row, and no entry that it opens with"),
        ("votes", "1 are there that no entry tells of"),
        ("payloads", "1 are there that no entry accounts for"),
    ]


def test_what_is_no_entry_at_all_is_named_and_the_rest_goes_on(filled: Any) -> None:
    for body in (b"\xff\xfe not utf-8", b"[]", b"{}", b"", b"x" * 70_000, b'{"v":2}', b'{"v":1,"seq":"x"}'):
        change(filled, update(entries).where(entries.c.seq == 3).values(body=body))
        assert ("entry 3", "its bytes and its leaf hash do not fit each other") in found(filled)


@pytest.mark.parametrize("member", ["kind", "session", "at", "data", "payloads"])
def test_an_entry_with_a_member_of_another_type_is_none(filled: Any, member: str) -> None:
    entry = {**json.loads(rows_of(filled, entries)[2].body), member: 5}
    change(filled, update(entries).where(entries.c.seq == 3).values(body=json.dumps(entry).encode()))
    assert ("entry 3", "is no entry: its bytes cannot be read") in found(filled)


def test_a_running_store_is_verified_while_it_is_written_to(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(make.received("s1"), make.decided("s1"))
            with reading(place.url) as reader:
                assert reader.head().size == 2
                await store.append(make.ended("s1"))
                assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []
            assert found(place) == []

    run(scenario())


@pytest.mark.parametrize(
    ("table", "column", "record"),
    [("entries", "body", "entry"), ("entries", "leaf", "entry"), ("payloads", "body", "payload")],
)
def test_text_where_bytes_were_is_named(
    sqlite_url: str, make: Any, run: Any, table: str, column: str, record: str
) -> None:
    """SQLite takes it, whatever a column is declared as."""
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(*exchange(make, "s1"))

    run(scenario())
    put(place, f"UPDATE {table} SET {column} = 'text' WHERE rowid = 2")
    assert next(name for name, _ in found(place)).startswith(f"{record} ")
