"""Whom the record has by two pseudonyms, since `person` was configured, is one person to an erasure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.store.erased_names import ISSUER, asked, in_clear
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, verify
from tests.store.grants_forgotten import granted

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.holds import Approval, Stage
from authz_service.core.sessions import SessionQuery
from authz_service.errors import Conflict
from authz_service.view.caller import Caller

ACCOUNT = Caller(ISSUER, "zelda-q7", 0.0)
PERSON = replace(ACCOUNT, person="zelda-q7@example.com")
TWO = Approval("two", (Stage("true", 2, 600.0),))
SAID = json.dumps({"messages": [{"role": "user", "content": "the merger"}]}).encode()


@pytest.mark.parametrize("named", [PERSON, ACCOUNT], ids=["person", "account"])
def test_all_sessions_of_a_person_are_erased_whichever_pseudonym_is_named(
    sealed: Any, make: Any, run: Any, named: Caller
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "before", ACCOUNT)
            await asked(sealed, make, store, "after", PERSON)
            erased = await store.forgetting.erase(sealed.pseudonym(named.identity), ORDER)
            assert (erased.sessions, len(erased.keys)) == (2, 2)

    run(scenario())
    assert verify(sealed) == []
    assert in_clear(sealed, "zelda-q7") == []


@pytest.mark.parametrize("named", [PERSON, ACCOUNT], ids=["person", "account"])
@pytest.mark.parametrize("kept", ["session", "subject"])
def test_what_is_on_legal_hold_under_the_other_pseudonym_is_not_erased(
    sealed: Any, make: Any, run: Any, named: Caller, kept: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "before", ACCOUNT)
            await asked(sealed, make, store, "after", PERSON)
            session, other = ("before", ACCOUNT) if named is PERSON else ("after", PERSON)
            whole = {"session": None, "subject": sealed.pseudonym(other.identity)}
            what = {"session": session, "subject": None} if kept == "session" else whole
            keep = await store.forgetting.keep(**what, order=ORDER)
            with pytest.raises(Conflict, match=keep.id):
                await store.forgetting.erase(sealed.pseudonym(named.identity), ORDER)
            assert (await store.entries(session))[1].payloads

    run(scenario())


def test_what_others_asked_and_the_other_pseudonym_read_is_kept_too(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", PERSON)
            bob = Caller(ISSUER, "bob", 0.0)
            await asked(sealed, make, store, "bobs", bob)
            reader = {"reader": caller_payload(ACCOUNT)}
            await store.append(EntryDraft(Kind.SESSION_READ, "bobs", {}, reader, ACCOUNT.identity))
            keep = await store.forgetting.keep(session="bobs", subject=None, order=ORDER)
            with pytest.raises(Conflict, match=keep.id):
                await store.forgetting.erase(sealed.pseudonym(PERSON.identity), ORDER)

    run(scenario())


def test_a_vote_under_the_other_pseudonym_is_counted_once_while_its_hold_is_open(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", PERSON)
            hold = (await store.open_hold(make.hold("s2", approvals=(TWO,)), make.limits)).hold
            await store.vote(make.ballot(hold, "zelda-q7"), make.limits)
            with pytest.raises(Conflict, match=hold.id):
                await store.forgetting.erase(sealed.pseudonym(PERSON.identity), ORDER)
            with pytest.raises(Conflict, match="voted"):
                await store.vote(make.ballot(hold, "zelda-q7"), make.limits)

    run(scenario())


def test_an_exchange_or_a_grant_under_the_other_pseudonym_has_to_end_first(
    sealed: Any, make: Any, run: Any
) -> None:
    alice = Caller(ISSUER, "alice", 0.0, person="alice@example.com")

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", alice)
            grant = await granted(sealed, make, store)
            with pytest.raises(Conflict, match=grant.id):
                await store.forgetting.erase(sealed.pseudonym(alice.identity), ORDER)
            await asked(sealed, make, store, "before", ACCOUNT)
            await asked(sealed, make, store, "after", PERSON)
            account = sealed.pseudonym(ACCOUNT.identity)
            data = {"api": "openai", "method": "POST", "path": "/v1/x", "caller": account}
            await store.append(EntryDraft(Kind.REQUEST_RECEIVED, "open", data))
            with pytest.raises(Conflict, match="still open"):
                await store.forgetting.erase(sealed.pseudonym(PERSON.identity), ORDER)

    run(scenario())


def test_no_word_is_found_that_was_said_under_the_other_pseudonym(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            account = sealed.pseudonym(ACCOUNT.identity)
            await asked(sealed, make, store, "before", ACCOUNT)
            await store.append(replace(make.released("before", SAID), subject=account), make.ended("before"))
            await asked(sealed, make, store, "after", PERSON)
            assert await found(store) == ["before"]
            await store.forgetting.erase(sealed.pseudonym(PERSON.identity), ORDER)
            assert await found(store) == []

    async def found(store: Any) -> list[str]:
        while await store.index_step(has_texts=True):
            pass
        return [session.id for session in (await store.sessions(SessionQuery(text="merger"))).items]

    run(scenario())
