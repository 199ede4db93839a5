"""Entries and sessions on both databases: what was appended is there, in order, under its root."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.entry import decode, payload_digest
from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.core.sessions import SessionQuery
from authz_service.errors import Unavailable, Unreadable
from authz_service.view.caller import Caller


def engine_of(place: Any) -> Any:
    return create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))


def verified_root(place: Any) -> bytes:
    """The root that the stored entries have, computed from them alone; checks the head and all payloads."""
    engine = engine_of(place)
    with engine.connect() as connection:
        frontier = Frontier()
        stored = {
            bytes(d): (bytes(s), bytes(b))
            for d, s, b in connection.execute(text("SELECT digest, salt, body FROM payloads"))
        }
        for seq, body in connection.execute(text("SELECT seq, body FROM entries ORDER BY seq")):
            frontier.append(leaf_hash(bytes(body)))
            entry = decode(bytes(body))
            assert entry.sequence == seq == frontier.size
            for ref in entry.payloads.values():
                salt, payload = stored[ref.digest]
                assert payload_digest(salt, payload) == ref.digest
                assert len(payload) == ref.size
        size, root = connection.execute(text("SELECT size, root FROM head")).one()
        assert (size, bytes(root)) == (frontier.size, frontier.root())
    engine.dispose()
    return frontier.root()


def test_entries_read_back_in_order_with_their_payloads(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"))
            place.clock.time += 1.5
            await store.append(make.released("s1", b"\x00\xff body"))
            await store.append()
            entries = await store.entries("s1")
            assert [e.kind for e in entries] == ["request.received", "request.decided", "request.released"]
            assert [e.sequence for e in entries] == [1, 2, 3]
            assert [e.at - 1_800_000_000 for e in entries] == [0, 0, 1.5]
            assert entries[2].payloads == {"body": b"\x00\xff body"}
            assert await store.entries("none") == []
        verified_root(place)

    run(scenario())


def test_the_root_covers_all_entries_over_restarts_and_many_tasks(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        for start in range(2):
            async with place.store() as store:
                sessions = [f"s{start}-{i}" for i in range(40)]
                await asyncio.gather(
                    *(store.append(make.received(s), make.released(s, s.encode())) for s in sessions)
                )
                await asyncio.gather(*(store.append(make.ended(s)) for s in sessions))
                kinds = [e.kind for e in await store.entries("s0-7")]
                assert kinds == ["request.received", "request.released", "exchange.ended"]
        verified_root(place)

    run(scenario())


def test_equal_payloads_are_stored_once_in_a_call_and_never_across_calls(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.released("s1", b"same"), make.released("s1", b"same"))
            await store.append(make.released("s2", b"same"))
        engine = engine_of(place)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM payloads")).scalar_one() == 2
        engine.dispose()

    run(scenario())


def test_a_session_shows_what_its_entries_say(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            session = await store.session("s1")
            assert session is not None
            assert (session.status, session.decision, session.ended_at) == ("open", "", None)
            assert session.caller == Caller("https://issuer.example", "alice", 0.0, ("staff",))
            await store.append(EntryDraft(Kind.REQUEST_REFUSED, "s1", {"code": "not_json", "status": 400}))
            place.clock.time += 2
            await store.append(make.ended("s1", "refused"))
            session = await store.session("s1")
            assert session is not None
            assert (session.status, session.decision, session.rule) == ("refused", "deny", "not_json")
            assert session.ended_at == session.started_at + 2
            assert await store.session("none") is None

    run(scenario())


def test_hostile_text_in_a_request_is_recorded_and_listed(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        model = "nul \x00 " + "x" * 9000
        async with place.store() as store:
            decided = EntryDraft(Kind.REQUEST_DECIDED, "s1", {"effect": "deny", "rule": "r", "model": model})
            await store.append(make.received("s1", "al\x00ice"), decided)
            page = await store.sessions(SessionQuery(model=model, caller="al\x00ice"))
            assert [s.id for s in page.items] == ["s1"]
            assert (await store.entries("s1"))[1].data["model"] == model
            assert page.items[0].caller == Caller("https://issuer.example", "al\x00ice", 0.0, ("staff",))

    run(scenario())


def test_sessions_are_paged_newest_first_and_new_ones_move_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for i in range(7):
                await store.append(
                    make.received(f"s{i}"), make.decided(f"s{i}", "deny" if i % 2 else "allow")
                )
            query = SessionQuery(page_size=3)
            first = await store.sessions(query)
            await store.append(make.received("late"))
            second = await store.sessions(replace(query, page_token=first.next_page_token))
            third = await store.sessions(replace(query, page_token=second.next_page_token))
            pages = [[s.id for s in page.items] for page in (first, second, third)]
            assert pages == [["s6", "s5", "s4"], ["s3", "s2", "s1"], ["s0"]]
            assert third.next_page_token == ""
            denied = await store.sessions(SessionQuery(decision="deny", caller="p-alice", rule="staff"))
            assert [s.id for s in denied.items] == ["s5", "s3", "s1"]
            assert (await store.sessions(SessionQuery(caller="bob"))).items == ()
            assert len((await store.sessions(SessionQuery(page_size=0))).items) == 1

    run(scenario())


@pytest.mark.parametrize("token", ["x", "!", "é", "AAAA", "A" * 1000, "=" * 22])
def test_a_foreign_page_token_is_refused(place: Any, make: Any, run: Any, token: str) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for i in range(2):
                await store.append(make.received(f"s{i}"))
            with pytest.raises(Unreadable):
                await store.sessions(SessionQuery(page_token=token))
            other = (await store.sessions(SessionQuery(page_size=1))).next_page_token
            with pytest.raises(Unreadable):
                await store.sessions(SessionQuery(status="open", page_token=other))

    run(scenario())


def test_recovery_ends_what_this_instance_left_and_says_what_is_known(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(instance="other") as store:
            await store.append(make.received("of-another"))
        async with place.store() as store:
            await store.append(make.received("ended"), make.ended("ended"))
            await store.append(make.received("asked"))
            answered = EntryDraft(Kind.ANSWER_RELEASED, "answered", {}, {"body": b"data: 1"})
            await store.append(make.received("answered"), make.released("answered"), answered)
            for i in range(200):
                await store.append(make.received(f"many-{i}"))
        async with place.store() as store:
            await store.append(make.received("alive"))
            assert await store.recover() == 202
            assert await store.recover() == 0
            expected = {"ended": "completed", "asked": "interrupted", "alive": "open", "of-another": "open"}
            for name, status in expected.items():
                session = await store.session(name)
                assert session is not None
                assert session.status == status
            last = (await store.entries("answered"))[-1]
            assert last.kind == "exchange.recovered"
            assert last.data == {"request_released": True, "answer_released": True}
            last = (await store.entries("asked"))[-1]
            assert last.data == {"request_released": False, "answer_released": False}

    run(scenario())


def test_an_exchange_that_goes_on_after_its_recovery_is_open_and_is_recovered_again(
    place: Any, make: Any, run: Any
) -> None:
    """Once it stayed ended: nobody could kill it, and of a second crash nothing was told."""

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1", "hold"))
            await store.append(make.received("s2"), make.decided("s2"))
        async with place.store() as store:
            assert await store.recover() == 2
            attached = EntryDraft(Kind.HOLD_ATTACHED, "s1", {"hold": "h1"})
            await asyncio.gather(
                store.append(make.decided("s1", "hold"), attached),
                store.append(make.decided("s2"), make.released("s2"), make.ended("s2")),
                store.append(make.received("s3"), make.decided("s3")),
            )
            held, over = await store.session("s1"), await store.session("s2")
            assert held is not None
            assert (held.status, held.ended_at) == ("held", None)
            assert over is not None
            assert (over.status, over.ended_at) == ("completed", place.clock.time)
        async with place.store() as store:
            assert await store.recover() == 2
            assert [e.kind for e in await store.entries("s1")].count("exchange.recovered") == 2
            again = await store.session("s1")
            assert again is not None
            assert again.ended_at == place.clock.time

    run(scenario())


def test_a_clock_that_goes_back_never_dates_an_entry_before_the_last(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        start = place.clock.time
        async with place.store() as store:
            await store.append(make.received("s1"))
            place.clock.time = start - 86_400
            await store.append(make.decided("s1"))
            assert await store.now() == start
        async with place.store() as store:
            assert await store.now() == start
            await store.append(make.ended("s1"))
            place.clock.time = start + 10
            await store.append(make.received("s2"))
            assert [e.at - start for e in await store.entries("s1")] == [0, 0, 0]
            assert [e.at - start for e in await store.entries("s2")] == [10]

    run(scenario())


def test_an_entry_that_is_too_large_is_refused_and_the_rest_of_its_group_recorded(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        huge = EntryDraft(Kind.REQUEST_RECEIVED, "huge", {"path": "x" * 70_000})
        async with place.store() as store:
            said = await asyncio.gather(
                store.append(make.received("s1")),
                store.append(make.received("huge"), huge),
                store.append(make.received("s2")),
                return_exceptions=True,
            )
            assert [type(s) for s in said] == [type(None), Unreadable, type(None)]
            assert await store.entries("huge") == []
        verified_root(place)

    run(scenario())


def test_a_closed_store_refuses_everything(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        store = await place.open()
        late = asyncio.ensure_future(store.append(make.received("s1")))
        await asyncio.sleep(0)
        await store.close()
        await store.close()
        await late  # what was waiting when it closed is committed
        for call in (store.append(make.received("s2")), store.now(), store.session("s1"), store.recover()):
            with pytest.raises(Unavailable):
                await call
        async with place.store() as again:
            assert await again.session("s1") is not None
            assert await again.session("s2") is None

    run(scenario())
