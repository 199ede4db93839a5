"""An exchange that waited in a process that died goes on in another; the one that had it releases nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.store.damaged_rows import put
from tests.store.granting import enough

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.openings import AnswerWanted, Attached, Opened
from authz_service.core.ports import BEGUN_BEFORE, DAMAGED
from authz_service.core.refusals import Refusal
from authz_service.core.sessions import TakenUp
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict
from authz_service.runtime.recorder import Recorder
from authz_service.store.damage import DamagedEntry
from authz_service.store.sql_store import SqlStore
from authz_service.store.transaction import Transaction

LIMITS = HoldLimits()
REFUSED = TakenUp(is_recorded=True, is_ours=False)


async def held(store: SqlStore, draft: Any) -> Any:
    opening = await store.open_hold(draft, LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


@pytest.mark.postgres
def test_an_approval_is_used_only_by_the_process_that_has_the_exchange_now(
    postgres_url: str, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            hold = await held(one, make.hold("s1"))
            assert (await two.take_up("s1", "again")).is_ours
            await two.vote(make.ballot(hold), LIMITS)
            use = {"digest": hold.digest, "session": "s1", "entries": [make.released("s1")]}
            with pytest.raises(Conflict) as refused:
                await one.consume(hold.id, **use)
            assert refused.value.code == "taken_up"
            assert await two.consume(hold.id, **use)
            kinds = [entry.kind for entry in await two.entries("s1")]
            assert kinds.count("request.released") == 1

    run(scenario())


def test_what_was_recovered_is_open_again_once_it_is_taken_up(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as before:
            await held(before, make.hold("s1"))
        async with place.store() as after:
            assert await after.recover() == 1
            assert (await after.take_up("s1", "again")).is_ours
            session = await after.session("s1")
            assert session is not None
            assert (session.status, session.ended_at) == ("open", None)
            last = (await after.entries("s1"))[-1]
            assert (last.kind, last.data) == ("exchange.resumed", {"instance": "one", "stream": "again"})

    run(scenario())


def test_what_was_released_refused_or_never_held_is_not_taken_up(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.released("s1"))
            await held(store, make.hold("s2"))
            await store.append(make.released("s2"))
            await held(store, make.hold("s3", request="another"))
            await store.append(make.ended("s3", "pending"))
            await store.append(make.received("s4"))
            for session in ("s1", "s2", "s3", "s4"):
                assert await store.take_up(session, "again") == REFUSED
            assert await store.take_up("s5", "again") == TakenUp(is_recorded=False, is_ours=False)
            assert [e.kind for e in await store.entries("s3")][-1] == "exchange.ended"

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"{", b'{"kind":"hold.opened"}'], ids=["gone", "cut", "other"])
@pytest.mark.parametrize("which", ["min", "max"])
def test_one_of_which_an_entry_is_damaged_is_not_taken_up_and_others_are(
    which: str, body: bytes, place: Any, make: Any, run: Any
) -> None:
    """Whoever can empty the entry of a release must not have the exchange run a second time."""

    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            await held(store, make.hold("s2", request="another"))
            await store.append(make.released("s1"))
            seq = f"(SELECT {which}(seq) FROM entries WHERE session = 's1')"
            put(place, f"UPDATE entries SET body = :body WHERE seq = {seq}", body=body)
            assert await store.take_up("s1", "again") == REFUSED
            assert (await store.take_up("s2", "again")).is_ours

    run(scenario())


def test_that_an_operator_ended_it_is_told_beside_an_entry_that_is_damaged(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            await store.kill("s1", enough("s1"))
            put(place, "UPDATE entries SET body = :body WHERE seq = 1", body=b"{")
            assert await store.take_up("s1", "again") == replace(REFUSED, is_killed=True)

    run(scenario())


def test_who_is_not_back_when_an_operator_ends_the_hold_of_another_waits_for_a_new_one(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as before:
            hold = await held(before, make.hold("s1"))
            assert isinstance(await before.open_hold(make.hold("s2"), LIMITS), Attached)
        async with place.store() as after:
            assert await after.recover() == 2
            with pytest.raises(Conflict) as refused:
                await after.kill("s2", enough("s2"))
            assert refused.value.code == "session_ended"
            assert (await after.take_up("s1", "again")).hold == hold.id
            await after.kill("s1", enough("s1"))
            assert (await after.hold_states([hold.id]))[hold.id] is HoldState.KILLED
            assert (await after.take_up("s2", "again")).is_ours
            opened = await held(after, replace(make.hold("s2"), entries=()))
            assert opened.previous == hold.id

    run(scenario())


def test_whose_stream_broke_while_it_was_held_is_taken_up(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            await store.append(make.ended("s1", "client_left"))
            assert (await store.take_up("s1", "again")).is_ours

    run(scenario())


def test_an_exchange_begins_once_and_its_second_beginning_spoils_nobody_else_s(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            again, other = store.append(make.received("s1")), store.append(make.received("s2"))
            with pytest.raises(Conflict) as refused:
                await again
            assert refused.value.code == BEGUN_BEFORE
            await other
            with pytest.raises(Conflict) as refused:
                await store.open_hold(make.hold("s1"), LIMITS)
            assert refused.value.code == BEGUN_BEFORE

    run(scenario())


@pytest.mark.postgres
def test_of_one_approval_one_release_under_retries_two_replicas_a_taking_up_and_a_restart(
    postgres_url: str, make: Any, run: Any
) -> None:
    async def used(store: SqlStore, hold: Any, session: str) -> bool:
        entries = [EntryDraft(Kind.REQUEST_RELEASED, session, {"hold": hold.id}, {"body": hold.id.encode()})]
        try:
            return await store.consume(hold.id, digest=hold.digest, session=session, entries=entries)
        except Conflict as refused:
            return refused.code != "taken_up"

    async def scenario() -> None:
        place = make.place(postgres_url)
        holds = []
        won: dict[str, int] = {}
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            for n in range(12):
                drafts = [make.hold(f"h{n}-{i}", request=f"r{n}") for i in range(3)]
                hold = await held(one, drafts[0])
                for draft in drafts[1:]:
                    await two.open_hold(draft, LIMITS)  # the same person's same request, on the other
                await two.vote(make.ballot(hold), LIMITS)
                sessions = [draft.session for draft in drafts]
                tries = [used(store, hold, session) for session in sessions for store in (one, two, one)]
                tries.insert(n % 9, take_up_and_use(two, hold, sessions[0], used))
                won[hold.id] = (await asyncio.gather(*tries)).count(True)
                holds.append((hold, sessions))
        async with place.store(instance="one") as again:
            for hold, sessions in holds:
                late = [await used(again, hold, session) for session in sessions]
                assert (won[hold.id], late) == (1, [False] * 3)
                record = [entry for session in sessions for entry in await again.entries(session)]
                assert [entry.kind for entry in record].count("request.released") == 1

    run(scenario())


async def take_up_and_use(store: SqlStore, hold: Any, session: str, used: Any) -> bool:
    """As Envoy has it when it takes the process that holds the exchange for dead."""
    taken = await store.take_up(session, "again")
    return bool(await used(store, hold, session)) if taken.is_ours else False


def test_an_end_that_comes_late_leaves_an_exchange_alone_that_another_process_has(
    place: Any, make: Any, run: Any
) -> None:
    """Both the store and Envoy were lost to the first: its backlog comes when the second goes on."""

    async def scenario() -> None:
        ended = make.ended("s1", "client_left")
        async with place.store(instance="one") as one:
            await held(one, make.hold("s1"))
            await one.append_own(make.received("s2"), make.ended("s2"))
        async with place.store(instance="two") as two:
            assert (await two.take_up("s1", "again")).is_ours
        async with place.store(instance="one") as one:
            before = await one.last_sequence()
            for late in ((ended,), (make.received("s1"), ended), (make.ended("s2"), ended)):
                with pytest.raises(Conflict) as refused:
                    await one.append_own(*late)
                assert refused.value.code == "taken_up"
            backlog = Recorder(one)
            backlog.later((make.received("s1"), ended))
            backlog.later((EntryDraft(Kind.SERVICE_STOPPED),))
            await backlog.drain()
            assert (await one.last_sequence(), backlog.backlog) == (before + 1, 0)
            session = await one.session("s1")
            assert session is not None
            assert (session.status, session.ended_at) == ("open", None)

    run(scenario())


def test_an_end_that_comes_late_leaves_an_exchange_alone_that_another_stream_of_the_same_process_has(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            late, second = make.ended("s1", "client_left"), make.ended("s1", "client_left")
            for stream, before in (("second", ""), ("third", "second")):
                assert (await store.take_up("s1", stream)).is_ours
                for drafts in ((late,), (make.received("s1"), late)):
                    with pytest.raises(Conflict) as refused:
                        await store.append_own(*drafts, stream=before)
                    assert refused.value.code == "taken_up"
            session = await store.session("s1")
            assert session is not None
            assert (session.status, session.ended_at) == ("open", None)
            await store.append_own(second, stream="third")
            session = await store.session("s1")
            assert session is not None
            assert session.status == "client_left"

    run(scenario())


def test_a_stream_that_asked_for_an_exchange_and_did_not_get_it_ends_nothing(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            with pytest.raises(Conflict) as refused:
                await store.append_own(make.ended("s1", "client_left"), stream="second")
            assert refused.value.code == "taken_up"
            await store.append_own(make.ended("s1", "client_left"))
            session = await store.session("s1")
            assert session is not None
            assert session.status == "client_left"

    run(scenario())


def test_how_often_a_refusal_came_again_is_recorded_whichever_stream_has_the_exchange(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            assert (await store.take_up("s1", "second")).is_ours
            await store.append_own(make.ended("s1", "refused"), stream="second")
            refusal = Refusal("pseudonym", "", "", "llama", "rate_limit_exceeded", "caller.concurrent")
            counting = Recorder(store)
            counting.begin(refusal, "s1")
            assert counting.counted(refusal) == "s1"
            await counting.drain(with_counts=True)
            last = (await store.entries("s1"))[-1]
            assert (last.kind, last.data["count"]) == (Kind.REQUEST_REFUSED_AGAIN.value, 1)

    run(scenario())


def test_what_an_operator_has_ended_is_not_taken_up(place: Any, make: Any, run: Any) -> None:
    """It went on in the process that Envoy asked: the order was forgotten, and another hold was opened."""

    async def scenario() -> None:
        said = {"operator": b"{}", "reason": b"It loops."}
        async with place.store() as store:
            await held(store, make.hold("s1"))
            await store.open_hold(make.hold("s2"), LIMITS)
            for session in ("s2", "s1"):  # of the first the hold stays open, since another waits for it
                await store.kill(session, EntryDraft(Kind.SESSION_KILLED, session, payloads=said))
                taken = TakenUp(is_recorded=True, is_ours=False, is_killed=True)
                assert await store.take_up(session, "again") == taken
                found = await store.session(session)
                assert found is not None
                assert found.status == "killing"

    run(scenario())


def test_what_an_operator_has_ended_or_another_process_has_opens_no_hold_and_finds_no_answer(
    place: Any, make: Any, run: Any
) -> None:
    """Judged anew between the order and its arrival, it was held again, and the order was forgotten."""

    async def scenario() -> None:
        said = {"operator": b"{}", "reason": b"It loops."}
        again = replace(make.hold("s1"), entries=(make.decided("s1"),))
        wanted = AnswerWanted("s1", again.caller, again.fingerprint, again.changes, again.entries)
        async with place.store(instance="one") as one:
            await held(one, make.hold("s1"))
            await one.open_hold(make.hold("s2"), LIMITS)
        async with place.store(instance="two") as two:
            for code in ("taken_up", "session_killed"):
                for asking in (two.open_hold(again, LIMITS), two.attach_answer(wanted)):
                    with pytest.raises(Conflict) as refused:
                        await asking
                    assert refused.value.code == code
                if code == "taken_up":
                    assert (await two.take_up("s1", "again")).is_ours
                    assert isinstance(await two.open_hold(again, LIMITS), Attached)
                    await two.kill("s1", EntryDraft(Kind.SESSION_KILLED, "s1", payloads=said))
            assert [item.session for item in await two.to_end(["s1"])] == ["s1"]

    run(scenario())


def test_a_late_end_of_a_long_exchange_reads_next_to_nothing_of_it(
    place: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = Transaction.read

    def reads(self: Transaction, statement: Any) -> Any:
        frozen = real(self, statement).freeze()
        read.append(len(frozen().all()))
        return frozen()

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), *(make.released("s1") for _ in range(200)))
            monkeypatch.setattr(Transaction, "read", reads)
            await store.append_own(make.ended("s1"))
            await store.append_own(make.ended("s1"))  # nobody was told of the first

    run(scenario())
    assert sum(read) == 1


@pytest.mark.parametrize("body", [b'{"kind":"exchange.resumed"', b'{"kind":"exchange.resumed"}'])
def test_nobody_ends_what_may_have_been_taken_up_by_a_damaged_entry_and_no_other_waits_for_that(
    place: Any, make: Any, run: Any, body: bytes
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await held(store, make.hold("s1"))
            assert (await store.take_up("s1", "again")).is_ours
            await store.append(make.received("s2"))
            last = (await store.entries("s1"))[-1].sequence
            put(place, "UPDATE entries SET body = :body WHERE seq = :seq", body=body, seq=last)
            for append in (store.append_own, store.append_again):
                with pytest.raises(DamagedEntry) as refused:
                    await append(make.ended("s1", "client_left"))
                assert refused.value.code == DAMAGED
            recorder = Recorder(store)
            recorder.later((make.ended("s1", "client_left"),))
            recorder.later((make.ended("s2", "client_left"),))
            await recorder.drain()
            assert (await store.entries("s2"))[-1].kind == "exchange.ended"
            assert (await store.entries("s1"))[-1].sequence == last

    run(scenario())
