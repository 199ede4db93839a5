"""Edits and answers by reviewers on both databases: votes before are void, and the record verifies."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.store.edits import edit

from authz_service.core.acts import ActDraft, ActKind, AnswerHead
from authz_service.core.holds import Approval, Stage, Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits()
HEAD = AnswerHead(200, {"content-type": "application/json"})
TWO = Approval("security", (Stage("true", 2, 1800.0),))
FREE = Approval("security", (Stage("true", 1, 1800.0, editor_may_approve=True),))


async def opened(store: SqlStore, make: Any, *approvals: Approval) -> HoldSummary:
    opening = await store.open_hold(make.hold("s1", approvals=approvals), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def refused(store: SqlStore, draft: ActDraft, code: str) -> None:
    with pytest.raises((Conflict, Forbidden)) as error:
        await store.act(draft, LIMITS)
    assert error.value.code == code


async def released(store: SqlStore, make: Any, hold: HoldSummary, body: bytes) -> bool:
    entries = [make.released("s1", body)]
    return await store.consume(hold.id, digest=hold.digest, session="s1", entries=entries)


def test_an_edited_hold_has_the_new_bytes_and_goes_out_as_those(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            now = await store.act(edit(hold), LIMITS)
            assert (now.size, now.is_edited, now.findings) == (6, True, {"IBAN_CODE": 1})
            assert await store.held_bytes([hold.id]) == {hold.id: b"edited"}
            assert now.digest == hashlib.sha256(b"edited").hexdigest()
            assert (now.fingerprint, now.changes) == (hold.fingerprint, hold.changes)
            assert now == (await store.summaries([hold.id]))[hold.id]
            await store.vote(make.ballot(now), LIMITS)
            assert not await released(store, make, hold, b"the request")
            assert await released(store, make, now, b"edited")
            assert not await released(store, make, now, b"edited")

    run(scenario())


def test_a_conflict_names_who_decided_and_nobody_whose_vote_is_void(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make, TWO)
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            now = await store.act(edit(hold), LIMITS)
            for name in ("sam", "tom"):
                now = await store.vote(make.ballot(now, name), LIMITS)
            with pytest.raises(Conflict, match=r"was approved by Sam, Tom$"):
                await store.vote(make.ballot(now, "ula"), LIMITS)

    run(scenario())


def test_votes_before_an_edit_are_void_even_when_it_is_edited_back(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make, TWO)
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            now = await store.act(edit(hold), LIMITS)
            back = await store.act(edit(now, b"the request"), LIMITS)
            assert back.digest == hold.digest
            after = await store.vote(make.ballot(back, "rob"), LIMITS)
            assert after.state is HoldState.PENDING
            after = await store.vote(make.ballot(back, "rita"), LIMITS)
            assert after.state is HoldState.APPROVED

    run(scenario())


def test_the_time_for_votes_begins_anew_with_an_edit(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            place.clock.time += 1700
            now = await store.act(edit(hold), LIMITS)
            assert now.deadline - place.clock.time == pytest.approx(1800, abs=0.01)
            place.clock.time += 1700
            assert (await store.vote(make.ballot(now), LIMITS)).state is HoldState.APPROVED

    run(scenario())


def test_whoever_edited_may_reject_and_not_approve_unless_the_stage_says_so(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            now = await store.act(edit(hold), LIMITS)
            for account in (None, ("https://issuer.example", "eda")):
                voter = "eda" if account is None else "elsewhere"
                with pytest.raises(Forbidden) as error:
                    await store.vote(make.ballot(now, voter, account=account), LIMITS)
                assert error.value.code == "own_edit"
            rejected = await store.vote(make.ballot(now, "eda", Verdict.REJECT), LIMITS)
            assert rejected.state is HoldState.REJECTED

    async def free() -> None:
        async with place.store() as store:
            opening = await store.open_hold(make.hold("s2", request="another", approvals=(FREE,)), LIMITS)
            assert isinstance(opening, Opened)
            now = await store.act(edit(opening.hold), LIMITS)
            assert (await store.vote(make.ballot(now, "eda"), LIMITS)).state is HoldState.APPROVED

    run(scenario())
    run(free())


def test_an_edit_is_refused_to_who_may_not_and_where_it_is_too_late(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await refused(store, edit(hold, editor="alice"), "own_request")
            await refused(store, edit(hold, stages=()), "not_a_reviewer")
            await refused(store, edit(hold, shown="0" * 64), "digest_changed")
            now = await store.act(edit(hold, key="k"), LIMITS)
            assert await store.act(edit(hold, key="k"), LIMITS) == now  # sent again
            await refused(store, edit(hold, b"else", key="k", asked="else"), "idempotency_key_reused")
            await refused(store, edit(hold), "digest_changed")
            await store.vote(make.ballot(now), LIMITS)
            await refused(store, edit(now, b"late"), "hold_approved")

    run(scenario())


def test_a_response_waits_as_an_answer(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            now = await store.act(edit(hold, b"said", answer=HEAD), LIMITS)
            assert (now.is_response, now.is_answer, now.answer) == (True, False, HEAD)
            assert (await store.summaries([hold.id]))[hold.id] == now

    run(scenario())


def test_an_edited_answer_is_the_models_still_and_can_be_edited_only(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            opening = await store.open_hold(replace(make.hold("s1", approvals=(TWO,)), answer=HEAD), LIMITS)
            assert isinstance(opening, Opened)
            hold = opening.hold
            await refused(store, edit(hold), "answer_waits")  # as if it were a request
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            now = await store.act(edit(hold, answer=HEAD, kind=ActKind.EDIT), LIMITS)
            assert (now.is_answer, now.is_edited, now.is_response) == (True, True, False)
            assert now.answer == HEAD
            assert await store.held_bytes([hold.id]) == {hold.id: b"edited"}
            assert now == (await store.summaries([hold.id]))[hold.id]
            assert all(vote.is_void for vote in now.votes)
            await store.vote(make.ballot(now, "rita"), LIMITS)
            with pytest.raises(Forbidden) as error:
                await store.vote(make.ballot(now, "eda"), LIMITS)
            assert error.value.code == "own_edit"

    run(scenario())


def test_whoever_edited_an_answer_does_not_approve_it_where_it_waits_anew(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            draft = replace(make.hold("s1"), answer=HEAD)
            opening = await store.open_hold(draft, LIMITS)
            assert isinstance(opening, Opened)
            await store.act(edit(opening.hold, answer=HEAD, kind=ActKind.EDIT), LIMITS)
            marked = replace(HEAD, headers={**HEAD.headers, "x-authz-edited": "true"})
            anew = replace(make.hold("s2"), id="hold_anew", answer=marked, approvals=(TWO,))
            opening = await store.open_hold(replace(anew, replaces=opening.hold.id), LIMITS)
            assert isinstance(opening, Opened)
            assert opening.hold.previous == draft.id
            with pytest.raises(Forbidden) as error:
                await store.vote(make.ballot(opening.hold, "eda"), LIMITS)
            assert error.value.code == "own_edit"
            await store.vote(make.ballot(opening.hold, "rita"), LIMITS)

    run(scenario())


def test_a_persons_answer_in_the_place_of_the_models_is_both_and_goes_out_as_that(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            opening = await store.open_hold(replace(make.hold("s1"), answer=HEAD), LIMITS)
            assert isinstance(opening, Opened)
            other = replace(HEAD, headers={"content-type": "text/event-stream"})
            now = await store.act(edit(opening.hold, answer=other), LIMITS)
            assert (now.is_answer, now.is_edited, now.is_response) == (True, False, True)
            assert now.answer == other
            with pytest.raises(Forbidden):
                await store.vote(make.ballot(now, "eda"), LIMITS)
            await store.vote(make.ballot(now, "rita"), LIMITS)
            assert not await released(store, make, opening.hold, b"the request")
            assert await released(store, make, now, b"edited")

    run(scenario())


def test_the_same_key_is_one_revision_whatever_was_made_of_what_was_sent(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            drafts = [
                edit(hold, b"made at first", asked="a", key="k"),
                edit(hold, b"made again", asked="a", key="k"),
                edit(hold, b"made at first", asked="b", key="k"),
            ]
            first = await store.act(drafts[0], LIMITS)
            assert await store.act(drafts[1], LIMITS) == first
            await refused(store, drafts[2], "idempotency_key_reused")
            found = await store.act_with_key(hold.id, drafts[0].person, "k")
            assert found is not None
            assert found.revised is not None
            assert found.revised.asked == "a"
            assert await store.act_with_key(hold.id, drafts[0].person, "other") is None
            assert await store.act_with_key(hold.id, ("https://issuer.example", "bob"), "k") is None

    run(scenario())
