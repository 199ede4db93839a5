"""Revoked grants let nothing through, and what runs under them is ended if asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.store.granting import KEY, LIMITS, asks, enough, granted, verified

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.grants import GrantState
from authz_service.core.openings import Opened
from authz_service.errors import Conflict, NotFound


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
