"""A service account and whoever owns it are one person: in votes, reviews, edits and grants."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.grants import OneGroup
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.openings import Granted, Opened
from authz_service.core.requesters import owners_of
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store
from authz_service.view.caller import API_KEYS, Caller

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
TWO = Approval("two", (Stage("true", 2, 600.0),))
ISSUER = "https://issuer.example"


def owned_by(owner: str | list[str]) -> Any:
    return owners_of(Caller(ISSUER, "bot", 0.0, claims={"owner": owner}))


def verified(place: Any) -> None:
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []


async def opened(store: Any, make: Any, **more: Any) -> Any:
    opening = await store.open_hold(make.hold(**more), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


def ballot(make: Any, hold: Any, who: str, owner: str | list[str] = "", **more: Any) -> Any:
    return replace(make.ballot(hold, who, **more), owners=owned_by(owner) if owner else frozenset())


ELSEWHERE: dict[str, Any] = {
    "person": ("https://people.example", "rob"),
    "account": ("https://people.example", "rob"),
}
ACCOUNT = {"account": (ISSUER, "0815")}
ROB = {"person": ("person", "rob"), "account": (ISSUER, "0815")}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("rob", "", {}), ("bot", "rob", {})),
        (("bot", "rob", {}), ("rob", "", {})),
        (("bot", "rob", {}), ("other-bot", "rob", {})),
        (("rob", "", ROB), ("bot", "rob", {})),
        (("rob", "", {}), ("bot", " Rob", {})),
        (("bot", "ROB", {}), ("rob", "", {})),
        (("bot", "rob", {}), ("rob", "", ELSEWHERE)),
        (("rob", "", ELSEWHERE), ("bot", "rob", {})),
        (("bot", "Rob@Example.com", {}), ("rob", "", {"person": ("person", "rob@example.com"), **ACCOUNT})),
        (("bot", "O815", {}), ("rob", "", {"person": ("person", "r"), "account": (ISSUER, "o815")})),
    ],
    ids=[
        "its owner, then it",
        "it, then its owner",
        "two of one owner",
        "an owner by the person claim",
        "an owner who was typed otherwise",
        "one in capitals",
        "it, then its owner at another issuer",
        "its owner at another issuer, then it",
        "an address",
        "an account",
    ],
)
def test_together_they_have_one_vote(first: Any, second: Any, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, approvals=(TWO,))
            cast, again = (ballot(make, hold, who, owner, **more) for who, owner, more in (first, second))
            await store.vote(cast, LIMITS)
            with pytest.raises(Conflict, match="one person") as refused:
                await store.vote(again, LIMITS)
            assert refused.value.code == "already_voted"
            assert (await store.hold(hold.id)).state is HoldState.PENDING
            await store.vote(ballot(make, hold, "third-bot", "carol"), LIMITS)
            assert (await store.hold(hold.id)).state is HoldState.APPROVED
        verified(place)

    run(scenario())


def test_two_people_of_one_name_at_two_issuers_stay_two(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, approvals=(TWO,))
            await store.vote(ballot(make, hold, "rob"), LIMITS)
            await store.vote(ballot(make, hold, "rob", **ELSEWHERE), LIMITS)
            assert (await store.hold(hold.id)).state is HoldState.APPROVED
        verified(place)

    run(scenario())


VOTERS = {
    "rob": {"rob"},
    "rob's bot": {"rob"},
    "rob's other bot": {"rob"},
    "carol's bot": {"carol"},
    "alice's bot": {"alice"},
    "rob and carol's bot": {"rob", "carol"},
}


def test_of_any_three_votes_only_those_of_two_people_approve(place: Any, make: Any, run: Any) -> None:
    """Alice asks; whoever is somebody's bot is that person, and for each of its owners."""

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for number, voters in enumerate(product(VOTERS, repeat=3)):
                request, caller = f"request {number}", make.caller("alice")
                limits = HoldLimits(pending_per_caller=1000)
                draft = make.hold(request=request, caller=caller, approvals=(TWO,))
                hold = (await store.open_hold(draft, limits)).hold
                for voter in voters:
                    with suppress(Conflict, Forbidden):
                        owner = sorted(VOTERS[voter]) if "bot" in voter else ""
                        await store.vote(ballot(make, hold, voter, owner), limits)
                expected = HoldState.APPROVED if has_two_people(voters) else HoldState.PENDING
                assert (await store.hold(hold.id)).state is expected, voters
        verified(place)

    run(scenario())


def has_two_people(voters: tuple[str, ...]) -> bool:
    counted: list[set[str]] = []
    for voter in voters:
        if all(VOTERS[voter].isdisjoint(people) for people in ({"alice"}, *counted)):
            counted.append(VOTERS[voter])
    return len(counted) >= 2


def test_an_owner_takes_the_vote_of_their_service_account_back(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, approvals=(TWO,))
            await store.vote(ballot(make, hold, "bot", "rob"), LIMITS)
            rob = (ISSUER, "rob")
            await store.act(ActDraft(hold.id, ActKind.WITHDRAW, rob, rob, "Rob"), LIMITS)
            await store.vote(ballot(make, hold, "rob"), LIMITS)
            assert len([v for v in (await store.hold(hold.id)).votes if v.withdrawn_at is None]) == 1
        verified(place)

    run(scenario())


@pytest.mark.parametrize("owner", ["rob", "Rob"])
@pytest.mark.parametrize("is_editor_the_bot", [True, False])
def test_neither_approves_what_the_other_edited(
    is_editor_the_bot: bool, owner: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make)
            editor, voter = ("bot", "rob") if is_editor_the_bot else ("rob", "bot")
            revision = Revision(hold.digest, b"edited", {}, (StageRef("security", 0),))
            owners = {"bot": owned_by(owner), "rob": frozenset[tuple[str, str]]()}
            who = (ISSUER, editor)
            edit = ActDraft(hold.id, ActKind.EDIT, who, who, editor, revision=revision, owners=owners[editor])
            edited = await store.act(edit, LIMITS)
            with pytest.raises(Forbidden) as refused:
                await store.vote(replace(make.ballot(edited, voter), owners=owners[voter]), LIMITS)
            assert refused.value.code == "own_edit"
        verified(place)

    run(scenario())


@pytest.mark.parametrize("named", ["rob", "ROB"])
def test_an_owner_does_not_review_what_their_service_account_decided_alone(
    named: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make)
            alone = ballot(make, hold, "bot", named, verdict=Verdict.REJECT)
            await store.vote(replace(alone, may_vote_in=(), is_break_glass=True), LIMITS)
            for who, owner in (("rob", ""), ("other-bot", "rob")):
                person = (ISSUER, who)
                owners = owned_by(owner) if owner else frozenset()
                review = ActDraft(hold.id, ActKind.REVIEW, person, person, who, "seen", owners=owners)
                with pytest.raises(Forbidden) as refused:
                    await store.act(review, LIMITS)
                assert refused.value.code == "own_decision"

    run(scenario())


def test_no_service_account_decides_on_what_another_of_its_owner_sent(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            caller = replace(make.caller("sender"), claims={"owner": "rob"})
            hold = await opened(store, make, caller=caller, traits=make.traits)
            with pytest.raises(Forbidden) as refused:
                await store.vote(ballot(make, hold, "bot", "rob"), LIMITS)
            assert refused.value.code == "own_request"
            by = replace(make.maker("bot"), owners=owned_by("rob"))
            with pytest.raises(Forbidden) as refused:
                await store.propose_grant(hold.id, terms=make.terms(), shown=hold.digest, by=by)
            assert refused.value.code == "own_request"

    run(scenario())


@pytest.mark.parametrize("owner", ["rob", "Rob"])
@pytest.mark.parametrize("is_bot_first", [True, False])
def test_together_they_have_one_vote_for_a_grant(
    owner: str, is_bot_first: bool, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, approvals=(TWO,), traits=make.traits)
            terms = make.terms(approvals=(TWO,))
            bot = replace(make.maker("bot", approvals=(TWO,)), owners=owned_by(owner))
            rob = make.maker("rob", approvals=(TWO,))
            first, second = (bot, rob) if is_bot_first else (rob, bot)
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=first)
            with pytest.raises(Conflict, match="one person"):
                await store.approve_grant(grant.id, digest=grant.digest, by=second)
        verified(place)

    run(scenario())


def bots(owner: str) -> Caller:
    return Caller(ISSUER, "third-bot", 1.9e9, ("staff",), claims={"owner": owner})


def with_key(owner: str) -> Caller:
    return Caller(API_KEYS, "key_1", 1.9e9, ("staff",), claims={"owner": owner})


@pytest.mark.parametrize(
    ("who", "is_covered"),
    [
        (lambda make: make.caller("rob"), False),
        (lambda make: bots("rob"), False),
        (lambda make: make.caller("dave"), True),
        (lambda make: bots("dave"), True),
    ],
    ids=["its owner", "another of its owner", "a stranger", "a stranger's"],
)
@pytest.mark.parametrize("owner", ["rob", "Rob"])
def test_a_grant_by_a_service_account_is_of_no_use_to_its_owner(
    owner: str, who: Any, is_covered: bool, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, traits=make.traits)
            terms = make.terms(beneficiary=OneGroup(ISSUER, "staff"))
            bot = replace(make.maker("bot"), owners=owned_by(owner))
            await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=bot)
            asked = make.hold(request="again", caller=who(make), traits=make.traits)
            assert isinstance(await store.open_hold(asked, LIMITS), Granted) is is_covered
        verified(place)

    run(scenario())


def test_a_grant_is_of_no_use_to_a_service_account_whose_owner_voted_and_is_typed_otherwise(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make, traits=make.traits)
            terms = make.terms(beneficiary=OneGroup(ISSUER, "staff"))
            await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker("rob"))
            for owner, is_covered in (("Rob", False), ("carol", True)):
                asked = make.hold(request=owner, caller=bots(owner), traits=make.traits)
                assert isinstance(await store.open_hold(asked, LIMITS), Granted) is is_covered

    run(scenario())


def test_an_owners_key_is_theirs_however_their_name_was_typed(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            caller = with_key("dave")
            hold = await opened(store, make, caller=caller, traits=make.traits)
            terms = make.terms(beneficiary=OneGroup(API_KEYS, "staff"))
            bot = replace(make.maker("bot"), owners=owned_by("rob"))
            await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=bot)
            for owner, is_covered in (("Rob ", False), ("carol", True)):
                key = replace(with_key(owner), subject=f"key of {owner}")
                asked = make.hold(request=owner, caller=key, traits=make.traits)
                assert isinstance(await store.open_hold(asked, LIMITS), Granted) is is_covered

    run(scenario())


def test_of_owners_the_record_has_no_names(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make, approvals=(TWO,))
            await store.vote(ballot(make, hold, "bot", "quillfeather"), LIMITS)
            entry = next(e for e in await store.entries(hold.session) if e.kind == "hold.voted")
            assert len(entry.data["owners"]) == 3
            assert b"quillfeather" not in entry.body + b"".join(entry.payloads.values())

    run(scenario())
