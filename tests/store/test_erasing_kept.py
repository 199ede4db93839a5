"""What a legal hold on one person keeps of others' sessions survives the erasure of those others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.erased_names import asked
from tests.store.erasures_cut_off import cut_off
from tests.store.forgetting import ORDER, purge_all, request
from tests.store.forgotten import KEY, change, of, verify
from tests.store.kept_people import ADA, BOB, CAROL, took_part
from tests.store.test_erased_reviewers import TWO

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.holds import Verdict
from authz_service.errors import Conflict, Unavailable
from authz_service.store import erasing_kept, ledger
from authz_service.store.erasures import Erasures
from authz_service.view.caller import Caller

DAN = Caller(ADA.issuer, "dan", 0.0)


@pytest.mark.parametrize("who", [BOB, CAROL], ids=["read", "voted"])
def test_a_caller_is_not_erased_while_somebody_on_legal_hold_had_a_part_in_what_they_asked(
    sealed: Any, make: Any, run: Any, who: Caller
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await took_part(sealed, make, store)
            await asked(sealed, make, store, "dan's", DAN)
            ada = sealed.pseudonym(ADA.identity)
            keep = await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            with pytest.raises(Conflict, match=keep.id) as refused:
                await store.forgetting.erase(sealed.pseudonym(who.identity), ORDER)
            assert refused.value.code == "kept"
            assert (await store.forgetting.erase(sealed.pseudonym(DAN.identity), ORDER)).sessions == 1
            await store.forgetting.lift(keep.id, ORDER)
            assert (await store.forgetting.erase(sealed.pseudonym(who.identity), ORDER)).sessions > 0

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_nor_beside_an_entry_that_is_a_text_which_names_them(sealed: Any, make: Any, run: Any) -> None:
    """SQLite takes it, whatever a column is declared as."""

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await took_part(sealed, make, store)
            change(sealed, "UPDATE entries SET body = CAST(body AS TEXT) WHERE instr(body, 'session.read')")
            ada, bob = (sealed.pseudonym(who.identity) for who in (ADA, BOB))
            keep = await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            with pytest.raises(Conflict, match=keep.id) as refused:
                await store.forgetting.erase(bob, ORDER)
            assert refused.value.code == "kept"

    run(scenario())


def test_a_reviewer_is_not_erased_while_another_who_voted_beside_them_is_on_legal_hold(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session, reviewers in (("s1", ("pete", "rita")), ("s2", ("rob",))):
                draft = make.hold(session, request=session, approvals=(TWO,))
                hold = (await store.open_hold(draft, make.limits)).hold
                for name in reviewers[:-1]:
                    await store.vote(make.ballot(hold, name), make.limits)
                await store.vote(make.ballot(hold, reviewers[-1], Verdict.REJECT), make.limits)
                await store.append(make.ended(session))
            rita, pete, rob = (
                sealed.pseudonym(("https://issuer.example", name)) for name in ("rita", "pete", "rob")
            )
            keep = await store.forgetting.keep(session=None, subject=rita, order=ORDER)
            with pytest.raises(Conflict, match=keep.id):
                await store.forgetting.erase(pete, ORDER)
            assert (await store.forgetting.erase(rob, ORDER)).votes == 1
            await store.forgetting.lift(keep.id, ORDER)
            assert (await store.forgetting.erase(pete, ORDER)).votes == 1

    run(scenario())
    assert verify(sealed) == []


def test_an_erasure_that_was_cut_off_waits_for_a_legal_hold_on_somebody_who_read_it(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await took_part(sealed, make, store)
            await cut_off(sealed, store, monkeypatch, who="bob")
            ada = sealed.pseudonym(ADA.identity)
            keep = await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            assert await store.forgetting.resume_erasures() == 0
            assert not any(entry.missing for entry in await store.entries("bob's"))
            await store.forgetting.lift(keep.id, ORDER)
            assert await store.forgetting.resume_erasures() == 1

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("is_of_before", [False, True])
def test_who_read_what_somebody_on_legal_hold_read_too_is_not_erased(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, is_of_before: bool
) -> None:
    """Neither asked it, and nobody voted on it: entries alone tell of both, or the keys of their payloads."""
    if is_of_before:
        monkeypatch.setattr(ledger, "_COMPLETED", frozenset({Kind.REQUEST_RECEIVED}))

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "bob's", BOB)
            await asked(sealed, make, store, "dan's", DAN)
            for session, who in (("bob's", ADA), ("bob's", CAROL), ("dan's", CAROL), ("dan's", DAN)):
                reading = {"reader": caller_payload(who)}
                await store.append(EntryDraft(Kind.SESSION_READ, session, {}, reading, who.identity))
            ada, carol, dan = (sealed.pseudonym(who.identity) for who in (ADA, CAROL, DAN))
            keep = await store.forgetting.keep(session=None, subject=ada, order=ORDER)
            with pytest.raises(Conflict, match=keep.id) as refused:
                await store.forgetting.erase(carol, ORDER)
            assert refused.value.code == "kept"
            assert (await store.forgetting.erase(dan, ORDER)).sessions == 1
            await store.forgetting.lift(keep.id, ORDER)
            await store.forgetting.erase(carol, ORDER)

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("what", ["reading", "vote", "keep", "session", "name"])
def test_what_comes_between_the_look_and_the_order_is_seen_by_the_order(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It is looked through outside of the transaction, beside others who write."""

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "dan's", DAN)
            ada, dan = sealed.pseudonym(ADA.identity), sealed.pseudonym(DAN.identity)
            keep = (await store.forgetting.keep(session=None, subject=ada, order=ORDER)).id
            hold = (await store.open_hold(make.hold("held", caller=make.caller("dan")), make.limits)).hold
            await store.vote(make.ballot(hold, "rob", Verdict.REJECT), make.limits)
            await store.append(make.ended("held"))
            another = (await store.open_hold(make.hold("others", request="x"), make.limits)).hold
            catch_up = Erasures._catch_up

            async def then(self: Erasures, found: Any) -> None:
                await catch_up(self, found)
                monkeypatch.setattr(Erasures, "_catch_up", catch_up)
                match what:
                    case "reading":
                        read = {"reader": caller_payload(ADA)}
                        await store.append(EntryDraft(Kind.SESSION_READ, "dan's", {}, read, ADA.identity))
                    case "vote":
                        await store.vote(make.ballot(another, "dan"), make.limits)
                    case "keep":
                        rob = sealed.pseudonym(("https://issuer.example", "rob"))
                        await store.forgetting.keep(session=None, subject=rob, order=ORDER)
                    case "session":
                        received = of(sealed, make.received("new", "dan"), "dan")
                        await store.append(received)
                    case "name":
                        account = ("https://other.example", "dan-7")
                        ballot = make.ballot(another, "dan", Verdict.REJECT, account=account)
                        await store.vote(ballot, make.limits)
                        await store.append(make.ended("others"))
                        await asked(sealed, make, store, "other", Caller(*account, 0.0))

            monkeypatch.setattr(Erasures, "_catch_up", then)
            expected = {"reading": "kept", "vote": "still_held", "keep": "kept", "session": "still_open"}
            if what == "name":
                assert (await store.forgetting.erase(dan, ORDER)).sessions == 3
                return
            with pytest.raises(Conflict) as refused:
                await store.forgetting.erase(dan, ORDER)
            assert refused.value.code == expected[what]
            assert keep

    run(scenario())


def test_an_order_gives_up_where_everything_changes_all_the_time(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing_kept, "MOST_NEW", -1)

    async def scenario() -> None:
        async with sealed.store() as store:
            await asked(sealed, make, store, "dan's", DAN)
            with pytest.raises(Unavailable) as refused:
                await store.forgetting.erase(sealed.pseudonym(DAN.identity), ORDER)
            assert refused.value.code == "store_busy"

    run(scenario())


@pytest.mark.parametrize("of", ["subject", "session"])
def test_a_legal_hold_that_comes_while_an_erasure_is_carried_out_comes_too_late(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    destroy, dan = Erasures._destroy, sealed.pseudonym(DAN.identity)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "before", DAN)

            async def later(self: Any, erasure: Any) -> None:
                what = {"session": None, "subject": None, of: {"subject": dan, "session": "before"}[of]}
                await store.forgetting.keep(**what, order=ORDER)
                await destroy(self, erasure)

            monkeypatch.setattr(Erasures, "_destroy", later)
            assert (await store.forgetting.erase(dan, ORDER)).sessions == 1
            monkeypatch.setattr(Erasures, "_destroy", destroy)
            assert (await store.entries("before"))[1].missing
            await asked(sealed, make, store, "since", DAN)
            sealed.clock.time += 100 * 86_400.0
            await purge_all(store, request(sealed))
            assert bool((await store.entries("since"))[1].missing) is (of == "session")
            with pytest.raises(Conflict):
                await store.forgetting.erase(dan, ORDER)

    run(scenario())
    assert verify(sealed) == []
