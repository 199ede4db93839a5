"""Grants on both databases: made by all votes, used at most so often, revoked, of no use to their makers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.grants import GrantQuery, GrantState, OneGroup
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.ports import (
    AlreadyRejected,
    Attached,
    Granted,
    HoldLimits,
    HoldState,
    Opened,
)
from authz_service.errors import Conflict, Forbidden, NotFound
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
TWO = Approval("two", (Stage("true", 2, 600.0),))
STAGED = Approval("staged", (Stage("true", 1, 60.0), Stage("true", 1, 60.0)))


async def hold_of(store: Any, make: Any, request: str = "first", **more: Any) -> Any:
    opening = await store.open_hold(make.hold(request=request, traits=make.traits, **more), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def granted(store: Any, make: Any, **more: Any) -> Any:
    """A grant in force, made from a hold of alice's."""
    hold = await hold_of(store, make)
    return await store.propose_grant(hold.id, terms=make.terms(**more), shown=hold.digest, by=make.maker())


async def asks(store: Any, make: Any, request: str, **more: Any) -> Any:
    more.setdefault("traits", make.traits)
    return await store.open_hold(make.hold(request=request, **more), LIMITS)


def verified(place: Any) -> None:
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []


def test_one_vote_that_is_all_makes_a_grant_and_it_lets_so_many_through(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            assert (grant.state, grant.used, grant.terms.uses) == (GrantState.ACTIVE, 0, 2)
            for number in range(2):
                opening = await asks(store, make, f"again {number}", session=f"s{number}")
                assert opening == Granted(grant.id)
                kinds = [entry.kind for entry in await store.entries(f"s{number}")]
                assert kinds[-2:] == [Kind.GRANT_USED, Kind.REQUEST_RELEASED]
                assert (await store.entries(f"s{number}"))[-1].data["grant"] == grant.id
            assert isinstance(await asks(store, make, "once more"), Opened)
            after = await store.grant(grant.id)
            assert (after.state, after.used) == (GrantState.USED_UP, 2)
            assert [(use.number, use.session) for use in after.uses] == [(1, "s0"), (2, "s1")]
        verified(place)

    run(scenario())


def test_the_request_that_it_was_made_from_is_judged_anew_at_once(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make)
            terms = make.terms()
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
            gone = await store.hold(hold.id)
            assert (gone.state, gone.superseded_by) == (HoldState.SUPERSEDED, grant.id)
            assert gone.is_under_grant
            with pytest.raises(Conflict, match=f"was superseded by {grant.id}") as late:
                await store.vote(make.ballot(hold, "rob"), LIMITS)
            assert late.value.code == "hold_superseded"
            assert isinstance(await asks(store, make, "first"), Granted)


def test_what_another_hold_took_the_place_of_is_under_no_grant(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await hold_of(store, make)
            second = await hold_of(store, make, approvals=(TWO,))
            found = await store.summaries([first.id, second.id])
            gone, there = found[first.id], found[second.id]
            assert (gone.superseded_by, gone.is_under_grant) == (second.id, False)
            assert (there.superseded_by, there.is_under_grant) == ("", False)
            with pytest.raises(Conflict, match=f"a newer request of the same caller, hold {second.id}"):
                await store.vote(make.ballot(first, "rob"), LIMITS)
            rita = ("https://issuer.example", "rita")
            said = ActDraft(first.id, ActKind.COMMENT, rita, rita, "Rita", "too late")
            assert (await store.act(said, LIMITS)).superseded_by == second.id

    run(scenario())

    run(scenario())


def test_terms_that_leave_the_request_out_let_its_hold_wait(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make)
            narrow = make.terms(tools=())
            grant = await store.propose_grant(hold.id, terms=narrow, shown=hold.digest, by=make.maker())
            assert grant.state is GrantState.ACTIVE
            assert (await store.hold(hold.id)).state is HoldState.PENDING
            assert isinstance(await asks(store, make, "first"), Attached)
            plain = replace(make.traits, tools=())
            assert isinstance(await asks(store, make, "no tools", traits=plain), Granted)

    run(scenario())


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


def test_it_is_of_no_use_to_its_makers(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            staff = OneGroup("https://issuer.example", "staff")
            await granted(store, make, beneficiary=staff, uses=9)
            for name, outcome in (("rita", Opened), ("bob", Granted), ("alice", Granted)):
                caller = make.caller(name)
                assert isinstance(await asks(store, make, f"of {name}", caller=caller), outcome)
            robot = replace(make.caller("robot"), claims={"owner": "rita"})
            assert isinstance(await asks(store, make, "of her robot", caller=robot), Opened)

    run(scenario())


def test_it_ends_at_its_time_and_a_clock_that_went_back_revives_nothing(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make, until=int(place.clock.time) + 60)
            place.clock.time += 60
            assert (await store.grant(grant.id)).state is GrantState.EXPIRED
            assert isinstance(await asks(store, make, "late"), Opened)
            place.clock.time -= 100
            assert isinstance(await asks(store, make, "later"), Opened)

    run(scenario())


def test_another_definition_under_the_same_name_is_not_what_was_agreed_to(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await granted(store, make)
            stricter = (replace(make.security, stages=(Stage("true", 2, 1800.0),)),)
            assert isinstance(await asks(store, make, "after", approvals=stricter), Opened)
            both = (make.security, TWO)
            assert isinstance(await asks(store, make, "both", approvals=both), Opened)
            assert isinstance(await asks(store, make, "as before"), Granted)

    run(scenario())


def test_what_may_not_be_granted_is_held(place: Any, make: Any, run: Any) -> None:
    """As an answer is, and a request that an approval was lost for."""

    async def scenario() -> None:
        async with place.store() as store:
            await granted(store, make)
            assert isinstance(await asks(store, make, "untold", traits=None), Opened)

    run(scenario())


def test_an_expired_token_gets_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await granted(store, make)
            old = replace(make.caller(), expires_at=place.clock.time)
            assert isinstance(await asks(store, make, "late", caller=old), Opened)

    run(scenario())


def test_a_rejection_stands_and_an_approval_is_used_first(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            rejected = await hold_of(store, make, "no")
            await store.vote(make.ballot(rejected, "rob", Verdict.REJECT), LIMITS)
            approved = await hold_of(store, make, "yes")
            await store.vote(make.ballot(approved, "rob"), LIMITS)
            grant = await granted(store, make)
            assert isinstance(await asks(store, make, "no"), AlreadyRejected)
            assert isinstance(await asks(store, make, "yes"), Attached)
            assert (await store.grant(grant.id)).used == 0

    run(scenario())


def test_what_pends_is_superseded_by_a_grant_when_it_is_sent_again(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            pending = await hold_of(store, make, "other")
            grant = await granted(store, make)
            assert await asks(store, make, "other") == Granted(grant.id)
            assert (await store.hold(pending.id)).state is HoldState.SUPERSEDED
        verified(place)

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


def test_a_revoked_grant_lets_nothing_through_and_says_by_whom(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            ended = await store.revoke_grant(grant.id, by=make.maker("olga", stages=()))
            assert (ended.grant.state, ended.sessions) == (GrantState.REVOKED, ())
            assert ended.grant.revoked.name == "Olga"
            assert isinstance(await asks(store, make, "after"), Opened)
            with pytest.raises(Conflict, match="revoked by Olga") as refused:
                await store.revoke_grant(grant.id, by=make.maker("rob"))
            assert refused.value.code == "grant_revoked"
            with pytest.raises(NotFound):
                await store.revoke_grant("grant_none", by=make.maker())
        verified(place)

    run(scenario())


def test_revoking_ends_what_runs_under_it_if_asked(place: Any, make: Any, run: Any) -> None:
    def killed(session: str) -> EntryDraft:
        return EntryDraft(Kind.SESSION_KILLED, session, payloads={"reason": b"enough"})

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            await asks(store, make, "done", session="s1")
            await store.append(make.ended("s1"))
            await asks(store, make, "runs", session="s2")
            ended = await store.revoke_grant(grant.id, by=make.maker(), killed=killed)
            assert ended.sessions == ("s2",)
            assert [to.session for to in await store.to_end({"s1", "s2"})] == ["s2"]
            with pytest.raises(Conflict):
                await store.revoke_grant(grant.id, by=make.maker("rob"), killed=killed)
        verified(place)

    run(scenario())


def test_what_runs_under_a_grant_that_is_used_up_can_still_be_ended(place: Any, make: Any, run: Any) -> None:
    def killed(session: str) -> EntryDraft:
        return EntryDraft(Kind.SESSION_KILLED, session, payloads={"reason": b"enough"})

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make, uses=1)
            await asks(store, make, "runs", session="s2")
            with pytest.raises(Conflict, match="used up"):
                await store.revoke_grant(grant.id, by=make.maker("rob"))
            ended = await store.revoke_grant(grant.id, by=make.maker(), killed=killed)
            assert (ended.sessions, ended.grant.state) == (("s2",), GrantState.REVOKED)
        verified(place)

    run(scenario())


def test_a_request_that_an_operator_ended_uses_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            await store.append(make.received("s1"))
            await store.kill("s1", EntryDraft(Kind.SESSION_KILLED, "s1", payloads={"reason": b"enough"}))
            draft = replace(make.hold("s1", request="mine", traits=make.traits), entries=())
            with pytest.raises(Conflict) as refused:
                await store.open_hold(draft, LIMITS)
            assert refused.value.code == "session_killed"
            assert (await store.grant(grant.id)).used == 0

    run(scenario())


def test_an_exchange_that_begins_twice_uses_one(place: Any, make: Any, run: Any) -> None:
    """Envoy sends a stream again when its worker dies."""

    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            draft = make.hold("s1", request="mine", traits=make.traits)
            assert isinstance(await store.open_hold(draft, LIMITS), Granted)
            with pytest.raises(Conflict):
                await store.open_hold(draft, LIMITS)
            assert (await store.grant(grant.id)).used == 1

    run(scenario())


@pytest.mark.postgres
def test_of_many_racing_requests_on_two_replicas_no_more_go_through_than_it_has_uses(
    postgres_url: str, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        place = make.place(postgres_url)
        async with (
            place.store(signer=KEY, instance="one") as one,
            place.store(signer=KEY, instance="two", migrate=False) as two,
        ):
            grant = await granted(one, make, uses=7)
            limits = HoldLimits(pending_per_caller=100)

            async def ask(number: int) -> Any:
                draft = make.hold(f"s{number}", request=f"r{number}", traits=make.traits)
                return await (one, two)[number % 2].open_hold(draft, limits)

            opened = await asyncio.gather(*(ask(number) for number in range(40)))
            assert sum(isinstance(opening, Granted) for opening in opened) == 7
            after = await two.grant(grant.id)
            assert (after.used, len(after.uses), after.state) == (7, 7, GrantState.USED_UP)
            released = {use.session for use in after.uses}
            assert released == {f"s{n}" for n, o in enumerate(opened) if isinstance(o, Granted)}
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


def test_lists_are_filtered_and_paged(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            active = await granted(store, make, until=int(place.clock.time) + 60)
            hold = await hold_of(store, make, "second", approvals=(TWO,))
            by = make.maker(approvals=(TWO,))
            group = OneGroup("https://issuer.example", "staff")
            proposed = await store.propose_grant(
                hold.id, terms=make.terms(approvals=(TWO,), beneficiary=group), shown=hold.digest, by=by
            )

            async def ids(**query: Any) -> list[str]:
                return [grant.id for grant in (await store.grants(GrantQuery(**query))).items]

            assert await ids() == [proposed.id, active.id]
            assert await ids(states=(GrantState.ACTIVE,)) == [active.id]
            assert await ids(states=(GrantState.PROPOSED, GrantState.ACTIVE)) == [proposed.id, active.id]
            assert await ids(hold=hold.id) == [proposed.id]
            assert await ids(caller="alice") == [active.id]
            assert await ids(group="staff") == [proposed.id]
            assert await ids(rule="nothing") == []
            assert await ids(rule="contractors", model="llama", id_prefix=active.id[:12]) != []
            page = await store.grants(GrantQuery(page_size=1))
            assert [grant.id for grant in page.items] == [proposed.id]
            rest = await store.grants(GrantQuery(page_size=1, page_token=page.next_page_token))
            assert ([grant.id for grant in rest.items], rest.next_page_token) == ([active.id], "")
            place.clock.time += 60
            assert await ids(states=(GrantState.EXPIRED,)) == [active.id]
            place.clock.time += 600
            assert await ids(states=(GrantState.EXPIRED,)) == [proposed.id, active.id]

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


def test_a_revocation_sent_again_with_its_key_says_which_sessions_it_ended(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            await asks(store, make, "runs", session="s2")
            for _ in range(2):  # the answer to the first was lost
                end = await store.revoke_grant(grant.id, by=make.maker(key="k"), killed=enough)
                assert (end.grant.state, end.sessions) == (GrantState.REVOKED, ("s2",))
            assert [entry.kind for entry in await store.entries("s2")].count(Kind.SESSION_KILLED) == 1
        verified(place)

    run(scenario())


def test_what_still_ran_under_a_revoked_grant_is_ended_once_and_on_record(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            await asks(store, make, "runs", session="s2")
            await store.revoke_grant(grant.id, by=make.maker("olga"))
            for _ in range(2):  # the answer to the first was lost
                end = await store.revoke_grant(grant.id, by=make.maker(key="k"), killed=enough)
                assert end.sessions == ("s2",)
                assert end.grant.revoked.person == make.maker("olga").person
            acts = [e for e in await store.entries(grant.session) if e.kind == Kind.GRANT_REVOKED]
            assert [act.data.get("killed") for act in acts] == [None, ["s2"]]
        verified(place)

    run(scenario())


@pytest.mark.parametrize("is_kill", [False, True])
def test_the_same_key_with_kill_and_without_are_two_acts(
    is_kill: bool, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            by, how = make.maker(key="k"), {True: enough, False: None}
            await store.revoke_grant(grant.id, by=by, killed=how[is_kill])
            with pytest.raises(Conflict) as refused:
                await store.revoke_grant(grant.id, by=by, killed=how[not is_kill])
            assert refused.value.code == "idempotency_key_reused"
        verified(place)

    run(scenario())


def enough(session: str) -> EntryDraft:
    return EntryDraft(Kind.SESSION_KILLED, session, payloads={"reason": b"enough"})


def test_of_grants_that_do_not_cover_a_request_neither_votes_nor_uses_are_read(
    place: Any, make: Any, run: Any
) -> None:
    read: list[str] = []

    def listen(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        read.extend(table for table in ("grant_acts", "grant_uses") if f"FROM {table}" in statement)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await hold_of(store, make)
            await store.vote(make.ballot(hold, "rob"), LIMITS)
            for uses in (1, 2, 3):
                terms = make.terms(uses=uses, tools=())
                await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
            event.listen(Engine, "before_cursor_execute", listen)
            try:
                opening = await asks(store, make, "other", traits=replace(make.traits, tools=("shell",)))
                assert isinstance(opening, Opened)
                assert read == []
                opening = await asks(store, make, "one", traits=replace(make.traits, tools=()), session="s9")
                assert isinstance(opening, Granted)
                assert sorted(read) == ["grant_acts", "grant_uses"]
            finally:
                event.remove(Engine, "before_cursor_execute", listen)

    run(scenario())
