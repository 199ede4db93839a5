"""Who makes a grant: all votes of its stage, by people who may, on the very same terms."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.store.granting import KEY, LIMITS, TWO, asks, hold_of, verified

from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.grants import GrantState
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.openings import Attached, Granted, Opened
from authz_service.core.stored_grants import GrantQuery
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict, Forbidden

STAGED = Approval("staged", (Stage("true", 1, 60.0), Stage("true", 1, 60.0)))


def test_with_two_votes_two_people_agree_to_the_very_same_terms(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make, approvals=(TWO,))
            by = {name: make.maker(name, approvals=(TWO,)) for name in ("rita", "rob", "alice")}
            terms = make.terms(approvals=(TWO,))
            first = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by["rita"])
            assert first.state is GrantState.PROPOSED
            assert isinstance(await asks(store, make, "early", approvals=(TWO,)), Opened)
            with pytest.raises(Conflict, match="voted") as refused:
                await store.approve_grant(first.id, digest=first.digest, by=by["rita"])
            assert refused.value.code == "already_voted"
            with pytest.raises(Conflict) as refused:
                await store.approve_grant(first.id, digest="0" * 64, by=by["rob"])
            assert refused.value.code == "digest_changed"
            with pytest.raises(Forbidden):
                await store.approve_grant(first.id, digest=first.digest, by=by["alice"])
            more = replace(terms, uses=5)
            other = await store.propose_grant(hold.id, terms=more, shown=hold.digest, by=by["rob"])
            assert (other.id != first.id, other.state) == (True, GrantState.PROPOSED)
            second = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by["rob"])
            assert (second.id, second.state) == (first.id, GrantState.ACTIVE)
            assert [vote.name for vote in second.votes] == ["Rita", "Rob"]
            assert isinstance(await asks(store, make, "now", approvals=(TWO,)), Granted)
        verified(place)

    run(scenario())


def test_one_account_is_one_person(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make, approvals=(TWO,))
            terms = make.terms(approvals=(TWO,))
            account = ("https://issuer.example", "rita-1")
            one = make.maker("rita", approvals=(TWO,), account=account)
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=one)
            again = make.maker("rita-1", approvals=(TWO,))
            with pytest.raises(Conflict, match="voted"):
                await store.approve_grant(grant.id, digest=grant.digest, by=again)

    run(scenario())


def test_stages_vote_in_order_and_silence_makes_no_grant(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make, approvals=(STAGED,))
            terms = make.terms(approvals=(STAGED,))
            first, second = (make.maker(n, stages=(StageRef("staged", i),)) for i, n in enumerate(["a", "b"]))
            with pytest.raises(Forbidden):
                await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=second)
            assert (await store.grants(GrantQuery())).items == ()
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=first)
            assert grant.open_stages == (StageRef("staged", 1),)
            place.clock.time += 61
            assert (await store.grant(grant.id)).state is GrantState.EXPIRED
            with pytest.raises(Conflict, match="expired") as refused:
                await store.approve_grant(grant.id, digest=grant.digest, by=second)
            assert refused.value.code == "grant_expired"
        verified(place)

    run(scenario())


def test_neither_requester_nor_stranger_makes_one(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make)
            for by in (make.maker("alice"), make.maker("bob", stages=())):
                with pytest.raises(Forbidden):
                    await store.propose_grant(hold.id, terms=make.terms(), shown=hold.digest, by=by)
            assert (await store.grants(GrantQuery())).items == ()

    run(scenario())


@pytest.mark.parametrize("how", ["rejected", "edited", "answer", "old", "other bytes", "too long", "over"])
def test_no_grant_is_made_from(how: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            draft = make.hold(traits=make.traits)
            if how == "answer":
                draft = replace(draft, answer=AnswerHead(200, {}), traits=None, release=None)
            if how == "old":
                draft = replace(draft, traits=None, release=None)
            hold = (await store.open_hold(draft, LIMITS)).hold
            rob, stages = ("https://issuer.example", "rob"), (StageRef("security", 0),)
            if how == "rejected":
                await store.vote(make.ballot(hold, "rob", Verdict.REJECT), LIMITS)
            if how == "edited":
                revision = Revision(hold.digest, b"other", {}, stages)
                await store.act(ActDraft(hold.id, ActKind.EDIT, rob, rob, "rob", "", "", revision), LIMITS)
                hold = await store.hold(hold.id)
            until = {"too long": 31 * 86_400, "over": -1}.get(how, 60)
            terms = make.terms(until=int(place.clock.time) + until)
            shown = "0" * 64 if how == "other bytes" else hold.digest
            with pytest.raises(Conflict) as refused:
                await store.propose_grant(hold.id, terms=terms, shown=shown, by=make.maker())
            expected = {
                "rejected": "hold_rejected",
                "edited": "hold_revised",
                "answer": "answer_waits",
                "old": "hold_without_traits",
                "other bytes": "digest_changed",
            }
            assert refused.value.code == expected.get(how, "grant_end")
            assert (await store.grants(GrantQuery())).items == ()

    run(scenario())


def test_the_same_key_is_the_same_act_and_another_is_refused(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make)
            more = {"shown": hold.digest, "by": make.maker(key="k")}
            terms = make.terms()
            first = await store.propose_grant(hold.id, terms=terms, **more)
            assert await store.propose_grant(hold.id, terms=terms, **more) == first
            with pytest.raises(Conflict) as refused:
                await store.propose_grant(hold.id, terms=replace(terms, uses=3), **more)
            assert refused.value.code == "idempotency_key_reused"
            with pytest.raises(Conflict) as refused:
                await store.revoke_grant(first.id, by=make.maker(key="k"))
            assert refused.value.code == "idempotency_key_reused"
            ended = await store.revoke_grant(first.id, by=make.maker(key="r"))
            assert await store.revoke_grant(first.id, by=make.maker(key="r")) == ended
            with pytest.raises(Conflict) as refused:
                await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker("rob"))
            assert refused.value.code == "hold_superseded"
        verified(place)

    run(scenario())


def test_the_key_of_a_vote_for_a_grant_that_is_over_is_none_for_a_new_one_with_its_terms(
    place: Any, make: Any, run: Any
) -> None:
    three = (Approval("three", (Stage("true", 3, 60.0),)),)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make, approvals=three)
            rita, rob = make.maker(approvals=three), make.maker("rob", approvals=three, key="k")
            more = {"terms": make.terms(approvals=three), "shown": hold.digest, "by": rita}
            first = await store.propose_grant(hold.id, **more)
            voted = await store.approve_grant(first.id, digest=first.digest, by=rob)
            assert await store.approve_grant(first.id, digest=first.digest, by=rob) == voted
            await store.revoke_grant(first.id, by=rita)
            second = await store.propose_grant(hold.id, **more)
            assert (second.id != first.id, second.digest) == (True, first.digest)
            with pytest.raises(Conflict) as refused:
                await store.approve_grant(second.id, digest=second.digest, by=rob)
            assert refused.value.code == "idempotency_key_reused"
            other = make.maker("rob", approvals=three, key="another")
            assert len((await store.approve_grant(second.id, digest=second.digest, by=other)).votes) == 2
        verified(place)

    run(scenario())


@pytest.mark.postgres
def test_of_votes_on_two_replicas_a_grant_is_made_once(postgres_url: str, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with (
            place.store(signer=KEY, instance="one") as one,
            place.store(signer=KEY, instance="two", migrate=False) as two,
        ):
            hold = await hold_of(one, make)

            async def propose(number: int) -> Any:
                store = (one, two)[number % 2]
                by = make.maker(f"r{number}")
                return await store.propose_grant(hold.id, terms=make.terms(), shown=hold.digest, by=by)

            made = await asyncio.gather(*(propose(n) for n in range(10)), return_exceptions=True)
            assert sum(not isinstance(outcome, Conflict) for outcome in made) == 1
            grants = (await two.grants(GrantQuery())).items
            assert [(grant.state, len(grant.votes)) for grant in grants] == [(GrantState.ACTIVE, 1)]
        verified(place)

    run(scenario())


@pytest.mark.parametrize("how", ["edited", "rejected", "expired"])
def test_a_proposal_gets_no_more_votes_when_its_hold_is_no_longer_what_was_agreed_to(
    how: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make, approvals=(TWO,))
            by = {name: make.maker(name, approvals=(TWO,)) for name in ("rita", "rob")}
            terms = make.terms(approvals=(TWO,))
            place.clock.time += 10
            first = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by["rita"])
            if how == "edited":
                await edits(store, hold, StageRef("two", 0))
            elif how == "rejected":
                await store.vote(make.ballot(hold, "carol", Verdict.REJECT), LIMITS)
            else:
                place.clock.time += 595  # the hold's 600 seconds are over, the proposal's are not
            with pytest.raises(Conflict) as refused:
                await store.approve_grant(first.id, digest=first.digest, by=by["rob"])
            assert refused.value.code == {"edited": "hold_revised"}.get(how, f"hold_{how}")
            assert (await store.grant(first.id)).state is GrantState.PROPOSED
        verified(place)

    run(scenario())


def test_an_edit_that_waits_is_not_thrown_away_for_a_grant(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make, "drop")
            await edits(store, hold, StageRef("security", 0))
            other = await hold_of(store, make, "other", session="s8")
            await store.propose_grant(other.id, terms=make.terms(), shown=other.digest, by=make.maker())
            opening = await asks(store, make, "drop", session="s9")
            assert isinstance(opening, Attached)
            assert opening.hold.id == hold.id
            assert (await store.hold(hold.id)).state is HoldState.PENDING
        verified(place)

    run(scenario())


async def edits(store: Any, hold: Any, stage: StageRef) -> None:
    carol = ("https://issuer.example", "carol")
    revision = Revision(hold.digest, b"show", {}, (stage,))
    await store.act(ActDraft(hold.id, ActKind.EDIT, carol, carol, "carol", "", "", revision), LIMITS)
