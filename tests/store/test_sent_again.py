"""What is sent again with its key, as its answer was lost, is done once: each verb, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.store.acting import LIMITS, act, alone, opened, refused, replicas
from tests.store.granting import asks, granted

from authz_service.core.acts import ActDraft, ActKind, Review
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


async def ready_for(kind: ActKind, place: Any, make: Any, store: Any) -> Any:
    """A hold on which rita may do this."""
    hold = await opened(store, make.hold())
    if kind is ActKind.UNCLAIM:
        await store.act(act(hold, ActKind.CLAIM, idempotency_key="before"), LIMITS)
    if kind is ActKind.WITHDRAW:
        await store.vote(make.ballot(hold, "rita", key="before"), LIMITS)
    if kind is ActKind.REVIEW:
        await store.vote(alone(make.ballot(hold, "gus")), LIMITS)
    return hold


DONE = {
    ActKind.CLAIM: "hold.claimed",
    ActKind.UNCLAIM: "hold.unclaimed",
    ActKind.COMMENT: "hold.commented",
    ActKind.WITHDRAW: "hold.withdrawn",
    ActKind.REVIEW: "hold.reviewed",
}


async def count(store: Any, hold: Any, kind: ActKind) -> int:
    return [entry.kind for entry in await store.entries(hold.session)].count(DONE[kind])


@pytest.mark.parametrize("kind", DONE, ids=str)
def test_an_act_is_one_however_often_and_on_whichever_replica_it_comes(
    kind: ActKind, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with replicas(place) as (store, other):
            hold = await ready_for(kind, place, make, store)
            draft: ActDraft = act(hold, kind, text="well", idempotency_key="k")
            told = await asyncio.gather(*(each.act(draft, LIMITS) for each in (store, other) * 3))
            place.clock.time += 7
            told.append(await other.act(draft, LIMITS))
            assert await count(store, hold, kind) == 1
            assert len({(each.version, each.state, len(each.acts)) for each in told}) == 1
            again = await store.act_with_key(hold.id, draft.person, "k")
            assert (again.kind, again.text) == (kind, "well")

    run(scenario())


@pytest.mark.parametrize("kind", DONE, ids=str)
def test_its_key_is_good_for_nothing_else_of_theirs_and_is_no_key_of_anothers(
    kind: ActKind, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await ready_for(kind, place, make, store)
            await store.act(act(hold, kind, text="well", idempotency_key="k"), LIMITS)
            for other in (k for k in DONE if k is not kind):
                reused = act(hold, other, text="well", idempotency_key="k")
                assert await refused(store, reused) == "idempotency_key_reused"
            reused = act(hold, kind, text="otherwise", idempotency_key="k")
            assert await refused(store, reused) == "idempotency_key_reused"
            said = act(hold, ActKind.COMMENT, "sam", text="mine", idempotency_key="k")
            assert (await store.act(said, LIMITS)).acts[-1].text == "mine"
            assert await count(store, hold, kind) == (2 if kind is ActKind.COMMENT else 1)

    run(scenario())


def test_a_withdrawal_sent_again_takes_no_vote_back_that_was_cast_since(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await ready_for(ActKind.WITHDRAW, place, make, store)
            draft = act(hold, ActKind.WITHDRAW, idempotency_key="k")
            assert (await store.act(draft, LIMITS)).state is HoldState.PENDING
            await store.vote(make.ballot(hold, "rita", key="after"), LIMITS)
            assert (await store.act(draft, LIMITS)).state is HoldState.APPROVED
        with reading(place.url) as reader:
            assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []

    run(scenario())


def test_a_claim_sent_again_after_it_was_given_up_is_no_new_one(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            draft = act(hold, ActKind.CLAIM, idempotency_key="k")
            assert (await store.act(draft, LIMITS)).claim is not None
            await store.act(act(hold, ActKind.UNCLAIM), LIMITS)
            assert (await store.act(draft, LIMITS)).claim is None
            assert (await store.act(act(hold, ActKind.CLAIM, "sam"), LIMITS)).claim.name == "Sam"

    run(scenario())


def test_a_review_sent_again_is_done_and_no_conflict(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await ready_for(ActKind.REVIEW, place, make, store)
            draft = act(hold, ActKind.REVIEW, text="fine", idempotency_key="k")
            for _ in range(2):
                assert (await store.act(draft, LIMITS)).review is Review.DONE
            assert await refused(store, act(hold, ActKind.REVIEW, text="fine")) == "nothing_to_review"

    run(scenario())


def test_a_grant_is_revoked_once_on_whichever_replica_and_its_key_is_good_for_no_vote(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with replicas(place) as (store, other):
            grant = await granted(store, make)
            by = make.maker("rob", key="k")
            ends = await asyncio.gather(*(each.revoke_grant(grant.id, by=by) for each in (store, other) * 3))
            assert {(end.grant.version, end.sessions) for end in ends} == {(ends[0].grant.version, ())}
            kinds = [entry.kind for entry in await store.entries(grant.session)]
            assert kinds.count("grant.revoked") == 1
            with pytest.raises(Conflict) as late:
                await store.revoke_grant(grant.id, by=make.maker("rob", key="another"))
            assert late.value.code == "grant_revoked"
            hold = (await asks(store, make, "first")).hold
            second = await store.propose_grant(
                hold.id, terms=make.terms(), shown=hold.digest, by=make.maker("rob", key="k")
            )  # of another hold: keys are of one
            with pytest.raises(Conflict) as reused:
                await store.revoke_grant(second.id, by=make.maker("rob", key="k"))
            assert reused.value.code == "idempotency_key_reused"

    run(scenario())
