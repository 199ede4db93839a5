"""What is damaged keeps no later session from being found, and the log names it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_rows import put
from tests.store.places import Place

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.sessions import SessionQuery

SEEN: Any = {"findings": {"EMAIL_ADDRESS": 2}}
FOUND = SessionQuery(entity="EMAIL_ADDRESS")


def exchange(make: Any, session: str) -> list[EntryDraft]:
    decided = EntryDraft(Kind.REQUEST_DECIDED, session, SEEN)
    return [replace(make.received(session), subject=f"p-{session}"), decided, make.ended(session)]


async def indexed(store: Any) -> list[str]:
    """Which sessions are found once the index has seen all entries."""
    for _ in range(20):
        if not await store.index_step(has_texts=True):
            return [one.id for one in (await store.sessions(FOUND)).items]
    raise AssertionError("the index goes no further")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"kind":[]}', b'{"kind":"request.received"}'])
def test_the_index_goes_past_a_damaged_entry(place: Any, make: Any, run: Any, body: bytes) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(*exchange(make, "s1"), *exchange(make, "s2"))
            put(place, "UPDATE entries SET body = :body WHERE seq = 2", body=body)
            with capture_logs() as logs:
                assert await indexed(store) == ["s2"]
            assert {line["event"] for line in logs} == {"index.passed_over"}
            assert ("session", "s1") in {(key, line[key]) for line in logs for key in line}

    run(scenario())


def test_so_it_does_where_its_bytes_are_a_text(sqlite_url: str, make: Any, run: Any) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(*exchange(make, "s1"), *exchange(make, "s2"))
            put(place, "UPDATE entries SET body = 'what SQLite takes for a text' WHERE seq = 2")
            assert await indexed(store) == ["s2"]

    run(scenario())


@pytest.mark.parametrize("damage", ["wrapped = x'00'", "wrapped = 'a text'", "wrapped = 5"])
def test_the_index_goes_past_what_a_damaged_key_has_sealed(
    sealed: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            drafts = [*exchange(make, "s1"), *exchange(make, "s2")]
            await store.append(*drafts)
        with sqlite3.connect(sealed.keys / "keys.db") as keys:
            keys.execute(f"UPDATE authz_subject_keys SET {damage} WHERE subject = 'p-s1'")
        keys.close()
        async with sealed.store() as store:
            with capture_logs() as logs:
                assert await indexed(store) == ["s2"]
            assert ("index.passed_over", "s1") in {(line["event"], line.get("session")) for line in logs}

    run(scenario())
