"""A grant whose hold cannot be read covers nothing, is shown, and is ended all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.altered_grants import alter
from tests.store.damaged_rows import put
from tests.store.forgetting import rows
from tests.store.granting import KEY, asks, enough, granted, hold_of, verified
from tests.store.outboxes import ALL, claimed

from authz_service.core.grants import GrantState, OneGroup
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Granted, Opened
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_grants import GrantQuery
from authz_service.errors import Conflict, NotFound, Unavailable
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

DAMAGES = {
    "no JSON": "UPDATE holds SET detail = '{'",
    "no caller": "UPDATE holds SET detail = '{}'",
    "another state": "UPDATE holds SET state = 'granted'",
    "another time": "UPDATE holds SET created_at = -1",
    "nobody's": "UPDATE holds SET identity = '5', detail = '[]'",
    "another session": "UPDATE holds SET session = 'ses_other', identity = '[]', detail = '[]'",
    "gone": "DELETE FROM holds",
}
TWO = Approval("two", (Stage("true", 2, 600.0),))
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@damaged
def test_what_it_would_cover_waits_and_the_log_names_it(damage: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            alter(place, damage)
            with capture_logs() as logs:
                assert isinstance(await asks(store, make, "again"), Opened)
            named = [log for log in logs if log["event"] == "grant.damaged"]
            assert [(log["grant"], log["hold"], log["log_level"]) for log in named] == [
                (grant.id, grant.hold, "error")
            ]
            found = await store.grant(grant.id)
            assert (found.state, found.used, found.terms) == (GrantState.ACTIVE, 0, grant.terms)
            assert [each.id for each in (await store.grants(GrantQuery())).items] == [grant.id]

    run(scenario())


@damaged
def test_it_is_ended_with_what_runs_under_it_where_its_proposal_is_on_record(
    damage: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            grant = await granted(store, make)
            await asks(store, make, "runs", session="s2")
            alter(place, damage)
            for _ in range(2):  # the answer to the first was lost
                end = await store.revoke_grant(grant.id, by=make.maker(key="k"), killed=enough)
                assert (end.grant.state, end.sessions) == (GrantState.REVOKED, ("s2",))
            with pytest.raises(Conflict) as late:
                await store.revoke_grant(grant.id, by=make.maker("rob"))
            assert late.value.code == "grant_revoked"
            (told,) = [e for e in await store.entries(grant.session) if e.kind == "grant.revoked"]
            assert (told.data["grant"], told.payloads["reason"]) == (grant.id, b"the same every day")
            await claimed(store, most=100)
        with reading(place.url) as reader:
            wrong = verify_store(reader, keys=[KEY.vkey], kept=()).wrong
        assert wrong  # of the hold
        assert [each for each in wrong if "grant" in each.record] == []

    run(scenario())


@pytest.mark.parametrize("body", ["other", "cut", "gone"])
def test_its_end_is_put_with_nobody_where_its_proposal_is_not_as_it_was_recorded(
    body: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            proposed = next(e for e in await store.entries(grant.session) if e.kind == "grant.proposed")
            person = json.dumps(proposed.data["person"]).encode()
            bodies = {"other": proposed.body.replace(person, b'"mallory"'), "cut": b"{", "gone": b""}
            assert bodies["other"] != proposed.body
            where = f"WHERE seq = {proposed.sequence}"
            put(place, f"UPDATE entries SET body = :body {where}", body=bodies[body])
            end = await store.revoke_grant(grant.id, by=make.maker("rob"), killed=enough)
            assert end.grant.state is GrantState.REVOKED
            (told,) = [e for e in await store.entries_after(0, "") if e.kind == "grant.revoked"]
            assert (told.session, told.data["grant"]) == (None, grant.id)

    run(scenario())


def test_another_grant_still_covers_it(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await granted(store, make)
            other = make.caller("bob")
            hold = (await asks(store, make, "another", caller=other)).hold
            terms = make.terms(beneficiary=OneGroup(other.issuer, "staff"), until=first.terms.until + 9)
            second = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
            alter(place, f"UPDATE holds SET detail = '[]' WHERE id = '{first.hold}'")
            assert await asks(store, make, "again") == Granted(second.id)

    run(scenario())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE grants SET detail = '{}'",
        "UPDATE grant_acts SET detail = '[]'",
        "UPDATE grants SET state = 'good'",
    ],
)
def test_one_that_cannot_be_read_itself_is_ended_too(damage: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            grant = await granted(store, make)
            await asks(store, make, "runs", session="s2")
            alter(place, damage)
            end = await store.revoke_grant(grant.id, by=make.maker("rob"), killed=enough)
            assert end.sessions == ("s2",)
            assert [e.kind for e in await store.entries(grant.session)][-1] == "grant.revoked"
            assert isinstance(await asks(store, make, "again"), Opened)

    run(scenario())


def test_a_sound_one_is_as_it_was(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            grant = await granted(store, make)
            assert await asks(store, make, "again") == Granted(grant.id)
            await store.revoke_grant(grant.id, by=make.maker("rob"))
        verified(place)

    run(scenario())


@pytest.mark.parametrize("damage", [*DAMAGES.values(), "UPDATE holds SET identity = '[5, 5]'"])
def test_nobody_votes_for_one_and_none_is_proposed(damage: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await hold_of(store, make, approvals=(TWO,))
            terms = make.terms(approvals=(TWO,))
            rita, rob = (make.maker(name, approvals=(TWO,)) for name in ("rita", "rob"))
            first = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=rita)
            before = len(rows(place, "SELECT seq FROM entries"))
            alter(place, damage)
            for asked in (
                store.approve_grant(first.id, digest=first.digest, by=rob),
                store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=rob),
            ):
                with pytest.raises((Unavailable, NotFound)) as refused:
                    await asked
                is_gone = damage.startswith("DELETE")
                assert refused.value.code == ("hold_not_found" if is_gone else DAMAGED)
            assert len(rows(place, "SELECT seq FROM entries")) == before

    run(scenario())
