"""What is damaged is passed over by purges, which go on; it goes once it can be read again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.damaged_rows import put
from tests.store.forgetting import DAY, ORDER, exchange, purge_all, request, rows
from tests.store.forgotten import KEY, verify

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.store import purge_batches


def with_payloads(place: Any) -> int:
    return int(rows(place, "SELECT count(*) FROM payloads WHERE retention = 'payloads'")[0][0])


BODY = "UPDATE entries SET body = :body WHERE seq = :seq"


@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"v": 1}', None])
@pytest.mark.parametrize("of", [Retention.PAYLOADS, Retention.ENTRIES])
def test_a_damaged_entry_is_passed_over_and_goes_once_it_can_be_read_again(
    sealed: Any, make: Any, run: Any, of: Retention, damage: bytes | None, is_kept: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("a", "b", "c"):
                await store.append(*exchange(make, session))
            if is_kept:
                await store.forgetting.keep(session=None, subject="p-zoe", order=ORDER)
            sealed.clock.time += 100 * DAY
            ((seq, body),) = rows(sealed, "SELECT seq, body FROM entries WHERE seq = 8")
            altered = (
                bytes(body).replace(b"request.released", b"request.decided.") if damage is None else damage
            )
            put(sealed, BODY, body=altered, seq=seq)
            planned = await store.forgetting.purge_preview(request(sealed, of=of))
            taken = await purge_all(store, request(sealed, of=of))
            # Nobody can tell whether somebody on legal hold has a part in its session.
            assert taken.entries == planned.entries == (10 if is_kept else 14)
            assert with_payloads(sealed) == (3 if is_kept else 1)
            assert (await purge_all(store, request(sealed, of=of))).entries == 0
            put(sealed, BODY, body=bytes(body), seq=seq)
            assert (await purge_all(store, request(sealed, of=of))).entries == (5 if is_kept else 1)
            assert with_payloads(sealed) == 0
            assert (await purge_all(store, request(sealed, of=of))).entries == 0

    run(scenario())
    assert verify(sealed) == []


def test_what_the_time_of_a_session_is_damaged_of_is_passed_over(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = make.place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            for session in ("a", "b"):
                await store.append(*exchange(make, session))
            place.clock.time += 100 * DAY
            put(place, "UPDATE sessions SET ended_at = 'yesterday' WHERE id = 'a'")
            assert (await purge_all(store, request(place))).entries == 5
            assert (await store.entries("a"))[2].payloads

    run(scenario())


def test_a_damaged_entry_keeps_no_values_before_masking_from_being_purged(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            for session in ("a", "b", "c"):
                first, *others = exchange(make, session)
                await store.append(
                    first, EntryDraft(Kind.ANSWER_DECIDED, session, {}, {"original": b"x"}), *others
                )
                sealed.clock.time += DAY
            for seq in (1, 7, 13):
                put(sealed, BODY, body=b"{", seq=seq)
            sealed.clock.time += 100 * DAY
            assert (await purge_all(store, request(sealed, of=Retention.ORIGINALS))).payloads == 3

    run(scenario())


def test_equal_payloads_of_two_sessions_of_one_call_go_each_with_its_own(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "a"), *exchange(make, "b"))
            await store.forgetting.keep(session="b", subject=None, order=ORDER)
            sealed.clock.time += 100 * DAY
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert [bool(entry.missing) for entry in await store.entries("b")] == [False] * 5

    run(scenario())
    assert verify(sealed) == []


def test_equal_payloads_of_one_session_and_call_go_in_one_batch(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches anybody may ask whether the record is whole."""
    monkeypatch.setattr(purge_batches, "ENTRIES_AT_ONCE", 2)

    async def scenario(entries: int, *drafts: EntryDraft) -> None:
        async with sealed.store(signer=KEY, is_first_signer=bool(drafts)) as store:
            if drafts:
                await store.append(*drafts)
                sealed.clock.time += 100 * DAY
            assert (await store.forgetting.purge(request(sealed))).entries == entries

    received, decided, released, _, ended = exchange(make, "a")
    run(scenario(5, received, released, decided, decided, released, decided, ended))
    assert verify(sealed) == []
    run(scenario(2))
    assert verify(sealed) == []
