"""A damaged entry is named in its place, and keeps nobody from the rest of its session, or of the record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_rows import put
from tests.store.forgetting import ORDER, exchange, rows
from tests.store.places import Place

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import SESSION
from authz_service.core.sessions import DAMAGED_ENTRY, DAMAGED_WHY, Entry, SessionQuery

BODY = "UPDATE entries SET body = :body WHERE seq = :seq"


@pytest.fixture(params=[b"{", b"[" * 100_000, None], ids=["cut", "nested", "altered"])
def damage(request: pytest.FixtureRequest) -> Any:
    """Puts something else in the place of an entry; returns its number."""

    def damages(place: Any, kind: bytes) -> int:
        found = [
            (seq, bytes(body))
            for seq, body in rows(place, "SELECT seq, body FROM entries")
            if kind in bytes(body)
        ]
        seq, body = found[0]
        other = body.replace(b'"v":1', b'"v":1,"x":1') if request.param is None else request.param
        assert other != body
        put(place, BODY, body=other, seq=seq)
        return int(seq)

    return damages


def require_damaged(entry: Entry, seq: int, beside: Entry) -> None:
    assert (entry.sequence, entry.kind, entry.session) == (seq, DAMAGED_ENTRY, "s1")
    assert (entry.data, entry.payloads, list(entry.missing), entry.at) == ({}, {}, ["entry"], beside.at)


@pytest.mark.parametrize("kind", [b"request.received", b"answer.released"])
def test_the_rest_of_a_session_is_read(sealed: Any, make: Any, run: Any, damage: Any, kind: bytes) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            whole = await store.entries("s1")
            seq = damage(sealed, kind)
            (read,) = await store.some_entries(["s1"], most=1 << 20)
            assert list(read) == list(await store.entries("s1"))
            place = [entry.sequence for entry in whole].index(seq)
            require_damaged(read[place], seq, read[place - 1 if place else 1])
            assert [*read[:place], *read[place + 1 :]] == [*whole[:place], *whole[place + 1 :]]

    run(scenario())


@pytest.mark.parametrize("session", ["", "s1"])
def test_the_record_is_followed_past_it(sealed: Any, make: Any, run: Any, damage: Any, session: str) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            whole = await store.entries_after(0, session)
            seq = damage(sealed, b"request.released")
            read = await store.entries_after(0, session)
            assert [entry.sequence for entry in read] == [entry.sequence for entry in whole]
            place = [entry.sequence for entry in whole].index(seq)
            require_damaged(read[place], seq, read[place - 1])
            assert next(e.sequence for e in await store.entries_after(seq - 1, session)) == seq

    run(scenario())


def test_one_about_retention_is_logged_at_the_start_which_goes_on(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await store.forgetting.keep(session=None, subject="p-zoe", order=ORDER)
            ((seq,),) = rows(sealed, f"SELECT seq FROM entries WHERE session = '{SESSION}'")
            put(sealed, BODY, body=b"{", seq=seq)
        async with sealed.store() as store:
            with capture_logs() as logs:
                assert await store.forgetting.resume_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_failed"]

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"something else"])
@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_damaged_payload_is_missing_and_its_entry_says_so(
    place: Any, make: Any, run: Any, tmp_path: Path, is_sealed: bool, body: bytes
) -> None:
    if is_sealed:
        place.keys = tmp_path / "keys"
        place.keys.mkdir(mode=0o700)

    async def scenario() -> None:
        async with place.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            whole = await store.entries("s1")
            released = next(entry for entry in whole if entry.kind == Kind.REQUEST_RELEASED)
            digest = bytes.fromhex(json.loads(released.body)["payloads"]["body"]["digest"])
            put(place, "UPDATE payloads SET body = :body WHERE digest = :digest", body=body, digest=digest)
            damaged = replace(released, payloads={}, missing={"body": DAMAGED_WHY})
            expected = [damaged if entry == released else entry for entry in whole]
            assert list(await store.entries("s1")) == expected
            assert [list(entries) for entries in await store.some_entries(["s1"], most=1)] == [expected]
            assert list(await store.entries_after(0, "s1")) == expected

    run(scenario())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("caller_detail = '{'", "completed"),
        ("caller_detail = '{}'", "completed"),
        ("caller_detail = '[1]'", "completed"),
        ("started_at = -1", "damaged"),
    ],
)
def test_a_session_with_damaged_columns_ends_no_list(
    place: Any, make: Any, run: Any, change: str, status: str
) -> None:
    async def scenario() -> None:
        async with place.store(is_first_signer=True) as store:
            for name in ("s1", "s2", "s3"):
                await store.append(*exchange(make, name))
            whole = (await store.sessions(SessionQuery())).items
            put(place, f"UPDATE sessions SET {change} WHERE id = 's2'")
            page = await store.sessions(SessionQuery())
            third, second, first = page.items
            assert page.damaged == ("s2",)
            assert (third, first) == (whole[0], whole[2])
            assert (second.id, second.status, second.caller) == ("s2", status, None)
            assert await store.session("s2") == second
            assert list(await store.some_sessions(["s1", "s2"])) == [first, second]
            assert len(await store.entries("s2")) == 5

    run(scenario())


@pytest.mark.parametrize("column", ["body", "leaf"])
def test_text_where_bytes_were_is_a_damaged_entry(sqlite_url: str, make: Any, run: Any, column: str) -> None:
    """SQLite takes it, whatever a column is declared as."""
    where = Place(sqlite_url)

    async def scenario() -> None:
        async with where.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            whole = await store.entries("s1")
            put(where, f"UPDATE entries SET {column} = 'text' WHERE seq = :seq", seq=whole[1].sequence)
            for read in (await store.entries("s1"), await store.entries_after(0, "s1")):
                require_damaged(read[1], whole[1].sequence, read[0])
                assert (read[0], list(read[2:])) == (whole[0], list(whole[2:]))

    run(scenario())
