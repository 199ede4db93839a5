"""A damaged entry of what somebody said, whose row is not, ends neither an erasure nor the service."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs
from tests.store.damaged_holds import code_of
from tests.store.damaged_rows import put
from tests.store.forgetting import ORDER, exchange, rows
from tests.store.forgotten import KEY, purge
from tests.store.test_erasing_damaged import RITA, said_by_rita

from authz_service.audit.retention import Retention
from authz_service.core.ports import DAMAGED
from authz_service.store import erasing_said
from authz_service.store.forgotten_rows import is_purged, read_forgotten
from authz_service.store.record_reader import reading
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND

BODY = "UPDATE entries SET body = :body WHERE seq = :seq"
MARK = "INSERT INTO search_marks (mark, session) SELECT :mark, seq FROM sessions WHERE id = 'h'"


async def damage(place: Any, make: Any, store: Any, table: str, *, is_readable: bool = False) -> int:
    """What Rita said in a row of `table` is by its entry something else; returns its number."""
    await said_by_rita(place, make, store)
    ((seq,),) = rows(place, f"SELECT seq FROM {table}")
    ((body,),) = rows(place, f"SELECT body FROM entries WHERE seq = {seq}")
    other = bytes(body).replace(b'"voter":{', b'"spare":{') if is_readable else b"{"
    assert other != bytes(body)
    put(place, BODY, body=other, seq=seq)
    return int(seq)


@pytest.mark.parametrize("is_readable", [False, True])
@pytest.mark.parametrize("table", ["votes", "hold_acts"])
def test_it_is_passed_over_and_named_and_they_are_not_found_by_name(
    sealed: Any, make: Any, run: Any, table: str, is_readable: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            seq = await damage(sealed, make, store, table, is_readable=is_readable)
            for mark in ("reviewer:rita", "reviewer:other"):
                put(sealed, MARK, mark=mark)
            erased = await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert (erased.votes, erased.damaged) == (1, (f"entry {seq}",))
            assert rows(sealed, "SELECT mark FROM search_marks") == [("reviewer:other",)]
            assert await store.forgetting.resume_erasures() == 0  # it is done

    run(scenario())


def test_nobody_is_said_to_be_erased_while_it_hides_what_lies_in_clear(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = make.place(sqlite_url)

    async def scenario() -> None:
        async with place.store(is_first_signer=True) as store:
            seq = await damage(place, make, store, "votes")
            with capture_logs() as logs:
                assert await code_of(store.forgetting.erase(place.pseudonym(RITA), ORDER)) == DAMAGED
                assert await store.forgetting.resume_erasures() == 0
            assert [(line["event"], f"entry {seq}" in line["error"]) for line in logs] == [
                ("record.erasure_failed", True)
            ]

    run(scenario())


@pytest.mark.parametrize("error", [ValueError("what it has"), KeyError("what it has")])
def test_what_cannot_be_read_of_one_erasure_keeps_no_other_from_its_end(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await said_by_rita(sealed, make, store)
            with monkeypatch.context() as patched:
                patched.setattr(erasing_said, "take_votes", broken)
                with pytest.raises(type(error)):
                    await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
                with capture_logs() as logs:
                    assert await store.forgetting.resume_erasures() == 0
            assert [(line["event"], line["error"]) for line in logs] == [
                ("record.erasure_failed", type(error).__name__)
            ]
            assert await store.forgetting.resume_erasures() == 1

    run(scenario())


@pytest.mark.parametrize("session", ["h", "another"])
@pytest.mark.parametrize("table", ["votes", "hold_acts"])
def test_what_nobody_purged_is_named_and_they_are_found_by_name_nowhere(
    sealed: Any, make: Any, run: Any, table: str, session: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            seq = await damage(sealed, make, store, table)
            emptied = "UPDATE entries SET body = :body, session = :session WHERE seq = :seq"
            put(sealed, emptied, body=b"", session=session, seq=seq)
            put(sealed, MARK, mark="reviewer:rita")
            erased = await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert (erased.votes, erased.damaged) == (1, (f"entry {seq}",))
            assert rows(sealed, "SELECT mark FROM search_marks") == []

    run(scenario())


def test_an_entry_of_theirs_that_nobody_purged_and_has_no_bytes_is_named(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1", "p-zed"))
            put(sealed, BODY, body=b"", seq=2)
            ((caller,),) = rows(sealed, "SELECT caller FROM sessions WHERE id = 's1'")
            erased = await store.forgetting.erase(caller, ORDER)
            assert (erased.sessions, erased.damaged) == (1, ("entry 2",))

    run(scenario())


def test_what_a_purge_took_is_told_from_what_nobody_did(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            place.clock.time += 91 * 86_400
            await store.append(*exchange(make, "s2"))
            await purge(place, store, Retention.ENTRIES, 90)

    run(scenario())
    put(place, BODY, body=b"", seq=7)
    with reading(place.url) as reader:
        forgotten = read_forgotten(reader)
        found = reader.read(select(*SOUND).where(entries.c.session.in_(["s1", "s2"]))).all()
        assert {row.session for row in found if is_purged(row, forgotten)} == {"s1"}
        assert [row.seq for row in found if not row.body and not is_purged(row, forgotten)] == [7]
