"""Grants on both databases: made by all votes, used at most so often, revoked, of no use to their makers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.store.granting import KEY, LIMITS, TWO, asks, granted, hold_of, verified

from authz_service.audit.draft import Kind
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.grants import GrantState, OneGroup
from authz_service.core.holds import Stage, Verdict
from authz_service.core.openings import AlreadyRejected, Attached, Granted, Opened
from authz_service.core.stored_grants import GrantQuery
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict


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

    run(scenario())


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
