"""What a grant lets through is on record once, whatever is lost or altered under it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.store.altered_grants import alter
from tests.store.hurry import Hurry
from tests.store.lossy import Loss, LossyPostgres, lossy
from tests.store.places import PATIENCE

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.grants import GrantState
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Granted, Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Unavailable
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
TWO = Approval("two", (Stage("true", 2, 600.0),))


async def proposed(store: Any, make: Any, *, approval: Approval, **more: Any) -> Any:
    draft = make.hold("made", traits=make.traits, approvals=(approval,))
    hold = (await store.open_hold(draft, LIMITS)).hold
    terms = make.terms(approvals=(approval,), **more)
    by = make.maker(approvals=(approval,))
    return await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by)


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[LossyPostgres]:
    with lossy(postgres_url) as proxy:
        yield proxy


@pytest.mark.postgres
@pytest.mark.parametrize("what", list(Loss), ids=lambda loss: loss.name.lower())
@pytest.mark.parametrize("is_away", [False, True], ids=["comes back", "stays away"])
def test_a_use_whose_commit_is_lost_is_spent_exactly_when_its_release_is_on_record(
    proxy: LossyPostgres, make: Any, run: Any, hurry: Hurry, what: Loss, is_away: bool
) -> None:
    async def scenario() -> None:
        async with make.place(proxy.url).store(signer=KEY) as store:
            grant = await proposed(store, make, approval=make.security)
            proxy.lose(what, and_stay_away=is_away)
            draft = make.hold("s1", request="again", traits=make.traits)
            if is_away:
                with pytest.raises(Unavailable):
                    await hurry.until_given_up(PATIENCE, store.open_hold(draft, LIMITS), proxy)
                proxy.come_back()
            else:
                assert await store.open_hold(draft, LIMITS) == Granted(grant.id)
            assert proxy.lost == 1
            released = [e for e in await store.entries("s1") if e.kind == "request.released"]
            assert (await store.grant(grant.id)).used == len(released)
            assert is_away or len(released) == 1

    run(scenario())
    with reading(proxy.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []


def test_a_proposal_that_was_altered_to_be_in_force_lets_nothing_through(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await proposed(store, make, approval=TWO)
        alter(place, "UPDATE grants SET state = 'active'")
        async with place.store() as store:
            assert (await store.grant(grant.id)).state is GrantState.ACTIVE
            draft = make.hold("s1", request="again", traits=make.traits, approvals=(TWO,))
            assert isinstance(await store.open_hold(draft, LIMITS), Opened)

    run(scenario())


@pytest.mark.parametrize("altered", ["used = 0", "uses = 99, used = 0"])
def test_a_count_that_was_set_back_lets_nothing_more_through(
    place: Any, make: Any, run: Any, altered: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await proposed(store, make, approval=make.security, uses=1)
            first = make.hold("s1", request="one", traits=make.traits)
            assert isinstance(await store.open_hold(first, LIMITS), Granted)
        alter(place, f"UPDATE grants SET {altered}")
        async with place.store() as store:
            second = make.hold("s2", request="two", traits=make.traits)
            assert isinstance(await store.open_hold(second, LIMITS), Opened)

    run(scenario())


async def forged(store: Any, make: Any, grant: str) -> None:
    """What no transaction of ours records."""
    used = EntryDraft(Kind.GRANT_USED, "x1", {"grant": grant, "number": 9, "uses": 1})
    released = EntryDraft(Kind.REQUEST_RELEASED, "x2", {"grant": grant}, {"body": b"{}"})
    await store.append(make.received("x1"), used, make.received("x2"), released)
    last = EntryDraft(Kind.GRANT_USED, "x2", {"grant": grant, "number": 10, "uses": 1})
    await store.append(last)


def test_verification_names_uses_that_nobody_agreed_to_and_releases_without_a_use(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            grant = await proposed(store, make, approval=make.security, uses=1)
            before = await store.last_sequence()
            await forged(store, make, grant.id)
            return str(grant.id), int(before)

    grant, before = run(scenario())
    with reading(place.url) as reader:
        said = {f"{w.record}: {w.what}" for w in verify_store(reader, keys=[KEY.vkey], kept=()).wrong}
    too_many = "has more uses than it was made for, or not all of them: entry"
    assert f"grant {grant}: {too_many} {before + 2}" in said
    assert f"entry {before + 2}: is a use of a grant, and no release follows it" in said
    assert f"entry {before + 4}: is a release under a grant, and no use of it" in said
    assert f"grant {grant}: has a last use that no release follows" in said
    assert f"grant's use of entry {before + 2}: has an entry, and no row" in said


def test_a_grant_said_to_be_in_force_without_its_votes_is_named(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> int:
        async with place.store(signer=KEY) as store:
            grant = await proposed(store, make, approval=TWO)
            created = EntryDraft(Kind.GRANT_CREATED, grant.session, {"grant": grant.id, "hold": grant.hold})
            await store.append(created)
            return int(await store.last_sequence())

    last = run(scenario())
    alter(place, f"UPDATE grants SET state = 'active', changed = {last}")
    with reading(place.url) as reader:
        said = [w.what for w in verify_store(reader, keys=[KEY.vkey], kept=()).wrong]
    assert said == ["puts a grant in force that has not the votes for it"]


def test_a_hold_said_to_be_approved_without_its_votes_is_named(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> int:
        async with place.store(signer=KEY) as store:
            hold = (await store.open_hold(make.hold("s1", approvals=(TWO,)), LIMITS)).hold
            await store.vote(make.ballot(hold), LIMITS)
            opened = json.loads((await store.entries("s1"))[2].body)
            digest = opened["payloads"]["forward"]["digest"]
            data = {"hold": hold.id, "digest": digest, "deadline": "2027-01-15T08:15:00.000000Z"}
            await store.append(EntryDraft(Kind.HOLD_APPROVED, "s1", data))
            return int(await store.last_sequence())

    last = run(scenario())
    alter(place, f"UPDATE holds SET state = 'approved', changed = {last}, turn_at = NULL")
    with reading(place.url) as reader:
        said = {w.what for w in verify_store(reader, keys=[KEY.vkey], kept=()).wrong}
    assert "approves a hold that has not the votes for it" in said
