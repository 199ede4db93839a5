"""Votes on holds: distinct people, those who may, on the bytes that they saw."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.store.opened_holds import kinds, opened

from authz_service.audit.entry import decode
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden, NotFound


def test_a_vote_that_completes_approves_and_everything_is_on_record(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            place.clock.time += 5
            approved = await store.vote(make.ballot(hold), make.limits)
            assert (approved.state, approved.deadline) == (HoldState.APPROVED, place.clock.time + 900)
            assert approved == (await store.summaries([hold.id]))[hold.id]
            entries = (await store.entries("s1"))[-2:]
            assert [entry.kind for entry in entries] == ["hold.voted", "hold.approved"]
            assert entries[0].data["verdict"] == "approve"
            held = decode((await store.entries("s1"))[-3].body).payloads["forward"]
            assert entries[0].data["digest"] == entries[1].data["digest"] == held.digest.hex()
            assert not any(hold.digest.encode() in entry.body for entry in await store.entries("s1"))
            assert not any(hold.fingerprint.encode() in entry.body for entry in await store.entries("s1"))
            assert entries[0].payloads["reason"] == b"looked at it"
            assert b"rita" in entries[0].payloads["voter"]
            assert b"rita" not in entries[0].body.lower()
            released = [make.released("s1", b"the request")]
            assert await store.consume(hold.id, digest=hold.digest, session="s1", entries=released)
            done = await store.hold(hold.id)
            assert done is not None
            assert (done.state, done.released_to) == (HoldState.RELEASED, "s1")
            await opened(store, make.hold("s2"))

    run(scenario())


def test_a_quorum_needs_distinct_people_and_stages_take_their_turn(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        approval = Approval("big", (Stage("true", 2, 60.0), Stage("true", 1, 600.0)))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(approval,)))
            once = await store.vote(make.ballot(hold, "rita"), make.limits)
            assert once.state is HoldState.PENDING
            with pytest.raises(Conflict) as error:
                await store.vote(make.ballot(hold, "rita"), make.limits)
            assert error.value.code == "already_voted"
            twice = await store.vote(make.ballot(hold, "sam"), make.limits)
            assert (twice.state, twice.open_stages) == (HoldState.PENDING, (StageRef("big", 1),))
            assert twice.deadline == place.clock.time + 600
            # A vote of the first stage does not count for the second, which was not open then.
            done = await store.vote(make.ballot(hold, "rita"), make.limits)
            assert done.state is HoldState.APPROVED

    run(scenario())


def test_one_account_is_one_person_with_and_without_its_person_claim(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        approval = Approval("two", (Stage("true", 2, 60.0),))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(approval,)))
            await store.vote(make.ballot(hold, "rita"), make.limits)
            disguised = make.ballot(
                hold, person=("person", "rita@example.com"), account=("https://issuer.example", "rita")
            )
            with pytest.raises(Conflict):
                await store.vote(disguised, make.limits)

    run(scenario())


@pytest.mark.parametrize(
    "ballot",
    [
        {"voter": "alice"},
        {"person": ("person", "alice@example.com"), "account": ("https://issuer.example", "alice-2")},
        {"person": ("person", "other@example.com"), "account": ("https://issuer.example", "alice")},
    ],
)
def test_the_requester_never_votes_whatever_the_token_says(
    place: Any, make: Any, run: Any, ballot: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("alice", person="alice@example.com")))
            with pytest.raises(Forbidden) as error:
                await store.vote(make.ballot(hold, **ballot), make.limits)
            assert error.value.code == "own_request"
            assert (await store.summaries([hold.id]))[hold.id] == hold

    run(scenario())


@pytest.mark.parametrize("owner", ["Rita@Example.com", ["tom", "rita@example.com"], "rita", " RITA "])
@pytest.mark.parametrize("issuer", ["https://issuer.example", "https://elsewhere.example"])
def test_whoever_answers_for_a_service_account_never_votes_however_the_name_is_written(
    place: Any, make: Any, run: Any, owner: Any, issuer: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("robot", claims={"owner": owner})))
            rita = make.ballot(hold, person=("person", "rita@example.com"), account=(issuer, "rita"))
            with pytest.raises(Forbidden) as error:
                await store.vote(rita, make.limits)
            assert error.value.code == "own_request"

    run(scenario())


def test_a_vote_is_refused_for_other_bytes_other_stages_and_unknown_holds(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            with pytest.raises(Conflict) as changed:
                await store.vote(make.ballot(hold, digest="0" * 64), make.limits)
            assert changed.value.code == "digest_changed"
            for stages in ((), (StageRef("security", 1),), (StageRef("other", 0),)):
                with pytest.raises(Forbidden):
                    await store.vote(make.ballot(hold, stages=stages), make.limits)
            with pytest.raises(NotFound):
                await store.vote(replace(make.ballot(hold), hold="none"), make.limits)
            assert (await store.summaries([hold.id]))[hold.id] == hold

    run(scenario())


def test_the_same_ballot_again_is_one_vote_and_its_key_is_good_for_no_other(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            first = await store.vote(make.ballot(hold, key="k"), make.limits)
            again = await store.vote(make.ballot(hold, key="k"), make.limits)
            assert first == again
            assert (await kinds(store, "s1")).count("hold.voted") == 1
            with pytest.raises(Conflict) as error:
                await store.vote(make.ballot(hold, key="k", verdict=Verdict.REJECT), make.limits)
            assert error.value.code == "idempotency_key_reused"

    run(scenario())


def test_of_two_reviewers_one_wins_and_the_other_is_told_who_decided_what(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for attempt in range(5):
                hold = await opened(store, make.hold(request=f"{attempt}"))
                ballots = [
                    make.ballot(hold, f"reviewer-{i}", Verdict.APPROVE if i % 2 else Verdict.REJECT)
                    for i in range(12)
                ]
                said = await asyncio.gather(
                    *(store.vote(b, make.limits) for b in ballots), return_exceptions=True
                )
                winners = [b for b, s in zip(ballots, said, strict=True) if isinstance(s, HoldSummary)]
                losers = [s for s in said if isinstance(s, Conflict)]
                assert (len(winners), len(losers)) == (1, 11)
                assert all(winners[0].name in str(loser) for loser in losers)
                expected = "hold_rejected" if winners[0].verdict is Verdict.REJECT else "hold_approved"
                assert {loser.code for loser in losers} == {expected}

    run(scenario())
