"""A service account of two owners makes these no one person: what each of them says counts, and is theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.store.verified_exports import exported

from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Opened
from authz_service.core.requesters import owners_of
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store
from authz_service.view.caller import Caller

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
ISSUER = "https://issuer.example"
BOT = (ISSUER, "bot")
BOTH = owners_of(Caller(*BOT, 0.0, claims={"owner": ["rob", "carol"]}))
TWO = Approval("two", (Stage("true", 2, 600.0),))
STAGES = Approval("stages", (Stage("true", 1, 600.0), Stage("true", 2, 600.0)))


def verified(place: Any, folder: Path) -> None:
    """Neither the live verification nor that of an export, with payloads or without, finds anything."""
    for with_payloads in (True, False):
        with reading(place.url) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=(), with_payloads=with_payloads)
        assert report.wrong == []
        assert exported(place, folder / f"out-{with_payloads}", payloads=with_payloads, key=KEY) == []


async def opened(store: Any, make: Any, approval: Approval) -> Any:
    opening = await store.open_hold(make.hold(approvals=(approval,)), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def votes(store: Any, make: Any, hold: str, *voters: str) -> Any:
    for who in voters:
        now = await store.hold(hold)
        ballot = replace(make.ballot(now, who), may_vote_in=now.open_stages)
        await store.vote(replace(ballot, owners=BOTH) if who == "bot" else ballot, LIMITS)
    return await store.hold(hold)


def withdrawal(hold: str, *, only_own: bool) -> ActDraft:
    return ActDraft(hold, ActKind.WITHDRAW, BOT, BOT, "bot", owners=BOTH, only_own=only_own)


def test_what_it_said_in_the_stage_before_takes_no_vote_of_its_owners(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, STAGES)
            decided = await votes(store, make, hold.id, "bot", "rob", "carol")
            assert decided.state is HoldState.APPROVED

    run(scenario())
    verified(place, tmp_path)


def test_what_it_took_back_takes_no_vote_of_its_owners(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, TWO)
            await votes(store, make, hold.id, "bot")
            with pytest.raises(Conflict, match="one person"):
                await votes(store, make, hold.id, "rob")
            await store.act(withdrawal(hold.id, only_own=True), LIMITS)
            decided = await votes(store, make, hold.id, "rob", "carol")
            assert decided.state is HoldState.APPROVED

    run(scenario())
    verified(place, tmp_path)


def test_a_vote_of_before_the_stage_began_anew_takes_none(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, STAGES)
            await votes(store, make, hold.id, "dave")
            place.clock.time += 1
            await votes(store, make, hold.id, "bot")  # in the second stage, of which the time begins anew
            place.clock.time += 1
            dave = (ISSUER, "dave")
            await store.act(ActDraft(hold.id, ActKind.WITHDRAW, dave, dave, "Dave"), LIMITS)
            place.clock.time += 1
            decided = await votes(store, make, hold.id, "erin", "rob", "carol")
            assert decided.state is HoldState.APPROVED

    run(scenario())
    verified(place, tmp_path)


def test_its_vote_in_a_grants_first_stage_takes_none_of_its_owners(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            draft = make.hold(approvals=(STAGES,), traits=make.traits)
            hold = (await store.open_hold(draft, LIMITS)).hold
            terms = make.terms(approvals=(STAGES,))
            bot = replace(make.maker("bot", approvals=(STAGES,)), owners=BOTH)
            grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=bot)
            for who in ("rob", "carol"):
                by = make.maker(who, approvals=(STAGES,))
                grant = await store.approve_grant(grant.id, digest=grant.digest, by=by)
            assert grant.state.value == "active"

    run(scenario())
    verified(place, tmp_path)


@pytest.mark.parametrize("voter", ["rob", "bot"])
def test_an_account_that_takes_back_only_its_own_leaves_its_owners_votes(
    voter: str, place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await opened(store, make, TWO)
            await votes(store, make, hold.id, voter)
            if voter == "rob":
                with pytest.raises(Conflict, match="no vote"):
                    await store.act(withdrawal(hold.id, only_own=True), LIMITS)
            else:
                await store.act(withdrawal(hold.id, only_own=True), LIMITS)
            (vote,) = (await store.hold(hold.id)).votes
            assert (vote.withdrawn_at is None) is (voter == "rob")

    run(scenario())
    verified(place, tmp_path)
