"""Held answers on both databases: found again by the same person's same request, and by no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import AnswerHead
from authz_service.core.holds import Verdict
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Opened
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldState, HoldSummary
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits()
HEAD = AnswerHead(200, {"content-type": "application/json"}, {"EMAIL_ADDRESS": 1})


async def opened(store: SqlStore, draft: HoldDraft) -> HoldSummary:
    opening = await store.open_hold(replace(draft, answer=HEAD), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


def wanted(make: Any, hold: HoldSummary, session: str = "s2", **changes: Any) -> AnswerWanted:
    entries = (make.received(session, hold.caller.subject), make.decided(session))
    found = AnswerWanted(session, hold.caller, hold.fingerprint, hold.changes, entries)
    return replace(found, **changes)


def answer_released(session: str, hold: HoldSummary) -> EntryDraft:
    return EntryDraft(Kind.ANSWER_RELEASED, session, {"masked": {}, "hold": hold.id}, {"body": b"the answer"})


def test_an_answer_that_waits_is_attached_to_and_reads_back_with_its_head(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            assert (await store.summaries([hold.id]))[hold.id] == hold
            found = await store.attach_answer(wanted(make, hold))
            assert found == Attached(hold)
            kinds = [entry.kind for entry in await store.entries("s2")]
            assert kinds == ["request.received", "request.decided", "hold.attached"]

    run(scenario())


def test_no_other_person_request_or_form_of_it_finds_an_answer_and_nothing_is_recorded_then(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            for changes in (
                {"caller": make.caller("mallory")},
                {"fingerprint": "0" * 64},
                {"changes": "0" * 64},
            ):
                assert await store.attach_answer(wanted(make, hold, **changes)) is None
            assert await store.entries("s2") == []

    run(scenario())


def test_a_withheld_answer_is_told_for_a_while_and_an_expired_one_is_not(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            await store.vote(make.ballot(hold, verdict=Verdict.REJECT), LIMITS)
            assert isinstance(await store.attach_answer(wanted(make, hold)), AlreadyRejected)
            place.clock.time += LIMITS.rejection_answers + 1
            assert await store.attach_answer(wanted(make, hold)) is None
            other = await opened(store, make.hold("s3", request="another"))
            place.clock.time += 7200
            assert await store.attach_answer(wanted(make, other, "s4")) is None

    run(scenario())


def test_an_answer_is_released_once(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            await store.attach_answer(wanted(make, hold))
            await store.vote(make.ballot(hold), LIMITS)
            entries = [answer_released("s2", hold), make.ended("s2")]
            assert await store.consume(hold.id, digest=hold.digest, session="s2", entries=entries)
            again = [answer_released("s1", hold), make.ended("s1")]
            assert not await store.consume(hold.id, digest=hold.digest, session="s1", entries=again)
            now = await store.hold(hold.id)
            assert now is not None
            assert (now.state, now.released_to) == (HoldState.RELEASED, "s2")
            assert await store.attach_answer(wanted(make, hold, "s3")) is None

    run(scenario())


def test_an_approved_answer_that_is_masked_anew_is_another_one(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            draft = make.hold("s1")
            hold = await opened(store, draft)
            await store.vote(make.ballot(hold), LIMITS)
            anew = replace(draft, id="h2", session="s2", replaces=hold.id, entries=())
            fresh = await opened(store, anew)
            assert (fresh.previous, fresh.state) == (hold.id, HoldState.PENDING)
            before = await store.hold(hold.id)
            assert before is not None
            assert before.state is HoldState.SUPERSEDED

    run(scenario())
