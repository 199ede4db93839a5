"""What is new on record is followed without a gap, and what runs can be marked to be ended."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.damaged_rows import put
from tests.store.forgetting import exchange
from tests.store.places import Place

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.walk import Wrong
from authz_service.core.live_sessions import ToEnd
from authz_service.core.openings import Attached, Opened
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict, NotFound
from authz_service.keys.log_key import LogKey
from authz_service.store import live_sessions
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


def order(session: str, reason: bytes = b"It loops.") -> EntryDraft:
    return EntryDraft(Kind.SESSION_KILLED, session, payloads={"operator": b"{}", "reason": reason})


def test_a_session_that_runs_is_marked_and_is_no_more_once_it_has_ended(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.released("s1"))
            await store.append(make.received("s2"), make.released("s2"))
            assert await store.to_end({"s1", "s2"}) == []
            assert (await store.kill("s1", order("s1"))).status == "killing"
            assert await store.to_end({"s1", "s2"}) == [ToEnd("s1", "It loops.")]
            await store.kill("s1", order("s1", b"Again."))
            assert await store.to_end({"s1", "s2"}) == [ToEnd("s1", "Again.")]
            await store.append(make.ended("s1", "killed"))
            assert await store.to_end({"s1", "s2"}) == []
            session = await store.session("s1")
            assert session is not None
            assert session.status == "killed"

    run(scenario())


@pytest.mark.parametrize("is_together", [False, True])
def test_an_order_to_end_outlasts_a_release_that_comes_after_it(
    place: Any, make: Any, run: Any, is_together: bool
) -> None:
    """As where limits count a request: its first entry is committed before the one that releases it."""

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"))
            release = [make.decided("s1"), make.released("s1")]
            if is_together:  # one transaction, in which the release is behind the order
                await store.append(order("s1"), *release)
            else:
                assert (await store.kill("s1", order("s1"))).status == "killing"
                await store.append(*release)
            assert await store.to_end({"s1"}) == [ToEnd("s1", "It loops.")]

    run(scenario())
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=[]).wrong == [Wrong("head", "is not signed")]


def test_orders_of_a_process_that_is_gone_hide_no_later_one(
    place: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_sessions, "TO_END_AT_ONCE", 2)
    ours = {"s5", "s6", "s7"}

    async def scenario() -> None:
        async with place.store() as store:
            for number in range(1, 8):
                await store.append(make.received(f"s{number}"), make.released(f"s{number}"))
                await store.kill(f"s{number}", order(f"s{number}"))
            assert [to.session for to in await store.to_end(ours)] == ["s5", "s6"]
            await store.append(make.ended("s5", "killed"))
            await store.append(make.ended("s6", "killed"))
            assert [to.session for to in await store.to_end(ours)] == ["s7"]
            assert await store.to_end(set()) == []

    run(scenario())


def test_the_hold_of_a_request_that_is_ended_ends_with_it_and_takes_no_votes(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            cursor = (await store.hold_changes(0))[-1].cursor
            await store.kill("s1", order("s1"))
            assert [(c.hold, c.state) for c in await store.hold_changes(cursor)] == [(hold.id, "killed")]
            ended = (await store.entries("s1"))[-1]
            assert (ended.kind, ended.data["hold"]) == ("hold.killed", hold.id)
            with pytest.raises(Conflict) as conflict:
                await store.vote(make.ballot(hold), make.limits)
            assert conflict.value.code == "hold_killed"
            await store.kill("s1", order("s1", b"Again."))
            kinds = [entry.kind for entry in await store.entries("s1")]
            assert kinds.count("hold.killed") == 1
            await store.append(make.ended("s1", "killed"))
            assert isinstance(await store.open_hold(make.hold("s2"), make.limits), Opened)

    run(scenario())
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=[]).wrong == [Wrong("head", "is not signed")]


def test_who_is_to_end_uses_no_approval_in_which_others_wait_too(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            assert isinstance(await store.open_hold(make.hold("s2"), make.limits), Attached)
            await store.vote(make.ballot(hold), make.limits)
            await store.kill("s1", order("s1"))
            with pytest.raises(Conflict) as conflict:
                await store.consume(hold.id, digest=hold.digest, session="s1", entries=[make.released("s1")])
            assert conflict.value.code == "session_killed"
            assert await store.consume(
                hold.id, digest=hold.digest, session="s2", entries=[make.released("s2")]
            )

    run(scenario())


@pytest.mark.parametrize("is_approved", [False, True])
def test_of_two_that_are_to_end_neither_keeps_their_hold_open(
    is_approved: bool, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            await store.open_hold(make.hold("s2"), make.limits)
            if is_approved:
                await store.vote(make.ballot(hold), make.limits)
            await store.kill("s1", order("s1"))  # their processes have not ended them yet
            await store.kill("s2", order("s2"))
            assert (await store.hold(hold.id)).state is HoldState.KILLED
            assert isinstance(await store.open_hold(make.hold("s3"), make.limits), Opened)

    run(scenario())


def test_who_was_taken_up_and_is_not_judged_yet_still_waits_for_the_hold(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            await store.open_hold(make.hold("s2"), make.limits)
            assert (await store.take_up("s2", "again")).is_ours
            await store.kill("s1", order("s1"))
            assert (await store.hold(hold.id)).state is HoldState.PENDING

    run(scenario())


def test_a_hold_in_which_the_same_request_waits_again_stays_until_the_last_is_ended(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            assert isinstance(await store.open_hold(make.hold("s2"), make.limits), Attached)
            await store.kill("s1", order("s1"))
            assert (await store.hold(hold.id)).state is HoldState.PENDING
            await store.append(make.ended("s1", "killed"))
            approved = await store.vote(make.ballot(hold), make.limits)
            assert approved.state is HoldState.APPROVED
            await store.kill("s2", order("s2"))
            assert (await store.hold(hold.id)).state is HoldState.KILLED
            released = make.released("s2")
            assert not await store.consume(hold.id, digest=hold.digest, session="s2", entries=[released])

    run(scenario())


def test_what_has_ended_or_is_not_there_cannot_be_ended_and_nothing_is_recorded(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.ended("s1"))
            with pytest.raises(Conflict) as conflict:
                await store.kill("s1", order("s1"))
            assert conflict.value.code == "session_ended"
            with pytest.raises(NotFound):
                await store.kill("s9", order("s9"))
            assert await store.last_sequence() == 2

    run(scenario())


def test_a_session_that_died_before_it_was_ended_is_recovered(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.released("s1"))
            await store.kill("s1", order("s1"))
        async with place.store() as store:
            assert await store.recover() == 1
            assert await store.to_end({"s1", "s2"}) == []

    run(scenario())


def test_entries_are_told_in_order_from_a_number_on_with_payloads_of_a_named_session_only(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for number in range(150):
                name = f"s{number % 2}-{number}"
                await store.append(make.received(name), make.released(name, b"body"))
            assert await store.last_sequence() == 300
            first = await store.entries_after(0)
            rest = await store.entries_after(first[-1].sequence)
            assert [entry.sequence for entry in (*first, *rest)] == list(range(1, 301))
            assert all(entry.payloads == {} for entry in first)
            (_, released) = await store.entries_after(0, "s1-7")
            assert released.payloads == {"body": b"body"}
            assert await store.entries_after(300) == []

    run(scenario())


def test_the_file_of_a_policy_is_found_by_its_digest(place: Any, make: Any, run: Any) -> None:
    def activated(digest: str, file: bytes) -> EntryDraft:
        return EntryDraft(Kind.POLICY_ACTIVATED, data={"policy": digest}, payloads={"file": file})

    async def scenario() -> None:
        async with place.store() as store:
            await store.append(activated("d1", b"one"), activated("d2", b"two"), make.received("s1"))
            assert await store.policy_file("d1") == b"one"
            assert await store.policy_file("d2") == b"two"
            assert await store.policy_file("d") is None

    run(scenario())


def test_one_with_a_damaged_payload_is_ended_and_keeps_no_other_from_its_end(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "s1", end=False))
            put(sealed, "UPDATE payloads SET body = salt")
            await store.append(*exchange(make, "s2", "bob", end=False))
            await store.kill("s1", order("s1"))
            await store.kill("s2", order("s2", b"Enough."))
            assert await store.to_end({"s1", "s2"}) == [ToEnd("s1", "It loops."), ToEnd("s2", "Enough.")]

    run(scenario())


@pytest.mark.parametrize("what", ["payloads SET body = salt", "entries SET body = leaf"])
def test_one_whose_reason_is_damaged_is_ended_without_it(sealed: Any, make: Any, run: Any, what: str) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "s1", end=False), *exchange(make, "s2", "bob", end=False))
            await store.kill("s1", order("s1"))
            put(sealed, f"UPDATE {what}")
            await store.kill("s2", order("s2"))
            assert await store.to_end({"s1", "s2"}) == [ToEnd("s1", ""), ToEnd("s2", "It loops.")]

    run(scenario())


def test_the_reason_is_found_behind_many_entries(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.released("s1"))
            await store.kill("s1", order("s1"))
            await store.append(*(make.released("s1") for _ in range(70)))
            assert await store.to_end({"s1"}) == [ToEnd("s1", "It loops.")]

    run(scenario())


@pytest.mark.parametrize("stored", ["'text'", "1e300"])
def test_one_is_ended_beside_an_entry_with_no_bytes_where_they_belong(
    sqlite_url: str, make: Any, run: Any, stored: str
) -> None:
    """SQLite takes it, whatever a column is declared as."""
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            for session in ("s1", "s2"):
                await store.append(make.received(session), make.released(session))
                await store.kill(session, order(session))
            put(place, f"UPDATE entries SET body = {stored} WHERE seq = 6")
            found = {one.session: one.reason for one in await store.to_end({"s1", "s2"})}
            assert found == {"s1": "It loops.", "s2": ""}

    run(scenario())
