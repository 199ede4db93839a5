"""What is altered of the entries about retention is obeyed by nobody, and keeps the rest from nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_rows import put
from tests.store.forgetting import DAY, ORDER, exchange, purge_all, request, rows
from tests.store.forgotten import KEY, verify
from tests.store.forgotten_exports import exported

from authz_service.audit.entry import decode
from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.store.missing import UNTOLD

BODY = "UPDATE entries SET body = :body WHERE seq = :seq"


def alter(place: Any, kind: str, **changes: Any) -> tuple[int, bytes]:
    """Have the first entry of this kind say something else, readable as ever; its number and old bytes."""
    for seq, body in rows(place, "SELECT seq, body FROM entries ORDER BY seq"):
        document = json.loads(bytes(body))
        if document["kind"] == kind:
            other = {**document, "data": {**document["data"], **changes}}
            put(place, BODY, body=json.dumps(other, separators=(",", ":")).encode(), seq=seq)
            return int(seq), bytes(body)
    raise AssertionError(kind)


async def refused(asked: Any, seq: int) -> None:
    with pytest.raises(Unavailable, match=rf"entry {seq}.*authz audit verify") as error:
        await asked
    assert error.value.code == DAMAGED


@pytest.mark.parametrize("changes", [{"session": "another"}, {"keep": "x"}, None])
def test_while_a_legal_hold_is_altered_nothing_is_purged_or_erased_and_the_service_starts(
    sealed: Any, make: Any, run: Any, changes: dict[str, str] | None
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("kept", "free"):
                await store.append(*exchange(make, session))
            await store.append(*exchange(make, "bob's", "bob"))
            await store.forgetting.keep(session="kept", subject=None, order=ORDER)
        if changes is None:
            ((seq,),) = rows(sealed, "SELECT seq FROM entries WHERE session = 'record.retention'")
            before = bytes(rows(sealed, f"SELECT body FROM entries WHERE seq = {seq}")[0][0])
            put(sealed, BODY, body=b"", seq=seq)
        else:
            seq, before = alter(sealed, "record.kept", **changes)
        sealed.clock.time += 100 * DAY
        async with sealed.store(signer=KEY) as store:
            with capture_logs() as logs:
                assert await store.forgetting.resume_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_failed"]
            for what in (request(sealed), request(sealed, of=Retention.ENTRIES)):
                await refused(store.forgetting.purge(what), seq)
                await refused(store.forgetting.purge_preview(what), seq)
            await refused(store.forgetting.erase("p-bob", ORDER), seq)
            put(sealed, BODY, body=before, seq=seq)
            assert (await store.forgetting.erase("p-bob", ORDER)).sessions == 1
            assert (await purge_all(store, request(sealed))).entries == 10
            assert (await store.entries("kept"))[2].payloads

    run(scenario())
    assert verify(sealed) == []


def test_an_altered_tombstone_is_named_with_what_it_accounted_for_and_nothing_else(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("a", "b"):
                await store.append(*exchange(make, session))
                sealed.clock.time += 100 * DAY
                await purge_all(store, request(sealed))

    run(scenario())
    seq, _ = alter(sealed, "record.purged", last=4)
    gone = [f"payload {name} of entry {entry}" for entry, name in ((1, "caller"), (3, "body"), (4, "body"))]
    assert {line.split(":")[0] for line in verify(sealed)} == {f"entry {seq}", "session a", *gone}
    put(sealed, BODY, body=b"{", seq=seq)
    assert {line.split(":")[0] for line in verify(sealed)} == {f"entry {seq}", "session a", *gone}
    assert f"entry {seq}" in " ".join(record for record, _ in exported(sealed, tmp_path / "out").wrong)


def test_a_session_is_shown_with_why_nobody_can_tell_where_the_rest_of_it_went(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "a"))
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed))
        alter(sealed, "record.purged", last=1)
        async with sealed.store(signer=KEY) as store:
            why = [text for entry in await store.entries("a") for text in entry.missing.values()]
            assert why == [UNTOLD] * 3

    run(scenario())


@pytest.mark.parametrize("damage", ["body = salt", "salt = body"])
def test_a_damaged_order_leaves_nameless_what_it_ordered_and_all_else_is_shown(
    sealed: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "alice's"), *exchange(make, "bob's", "bob"))
            await store.forgetting.keep(session="alice's", subject=None, order=ORDER)
            await store.forgetting.erase("p-bob", ORDER)
            ordered = [e for e in await store.entries_after(0, "") if "order" in decode(e.body).payloads]
            for entry in ordered:
                digest = decode(entry.body).payloads["order"].digest
                put(sealed, f"UPDATE payloads SET {damage} WHERE digest = :digest", digest=digest)
        async with sealed.store(signer=KEY) as store:
            with capture_logs() as logs:
                (kept,) = await store.forgetting.keeps()
                assert (kept.keep.session, kept.order) == ("alice's", Order("", ""))
                why = [said for entry in await store.entries("bob's") for said in entry.missing.values()]
            assert len(why) == 3
            assert all(
                said.startswith("erased on ") and "somebody whose name is gone" in said for said in why
            )
            named = [line["entry"] for line in logs if line["event"] == "payload.damaged"]
            assert named == [entry.sequence for entry in ordered]

    run(scenario())


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("of", ["record.purged", "request.received"])
def test_an_export_goes_past_what_is_no_bytes_where_an_entry_was_and_names_it(
    sealed: Any, make: Any, run: Any, tmp_path: Path, of: str
) -> None:
    async def scenario() -> Any:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "bob's", "bob", end=False))
            for number in range(60):
                await store.append(*exchange(make, f"s{number}"))
            await store.append(make.ended("bob's"))
            await store.forgetting.erase("p-bob", ORDER)
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed))
        return next(n for n, body in rows(sealed, "SELECT seq, body FROM entries") if of.encode() in body)

    seq = run(scenario())
    put(sealed, "UPDATE entries SET body = 'text' WHERE seq = :seq", seq=seq)
    named = {record for record, _ in exported(sealed, tmp_path / "out", first=257).wrong}
    assert (f"entry {seq}" in named) == (seq > 256)
    assert f"entry {seq}" in {record for record, _ in exported(sealed, tmp_path / "all").wrong}
