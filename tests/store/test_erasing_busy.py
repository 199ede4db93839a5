"""An order waits for no more than what is new, and a store that has much else to do ends no start."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.erased_names import asked
from tests.store.erasures_cut_off import ALICE, cut_off
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, verify
from tests.store.grants_forgotten import granted
from tests.store.test_erased_reviewers import TWO

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.errors import Conflict, Unavailable
from authz_service.store import erasing_kept, erasing_open
from authz_service.store.erasures import LATE_SECONDS, Erasures
from authz_service.store.transaction import Transaction
from authz_service.view.caller import Caller

DAN = Caller(ALICE.issuer, "dan", 0.0)


def then(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    """Once somebody was looked at, and before their erasure is ordered, this is done."""
    catch_up = Erasures._catch_up

    async def caught_up(self: Erasures, found: Any) -> None:
        await catch_up(self, found)
        monkeypatch.setattr(Erasures, "_catch_up", catch_up)
        await work()

    monkeypatch.setattr(Erasures, "_catch_up", caught_up)


def test_an_order_looks_again_at_nothing_that_has_not_changed(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: dict[str, list[bool]] = {"_people_of": [], "_people_of_grant": [], "named_in": []}

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def looks(reader: Any, *of: Any) -> Any:
            looked[name].append(isinstance(reader, Transaction))
            return real(reader, *of)

        monkeypatch.setattr(module, name, looks)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "dan's", DAN)
            await granted(sealed, make, store)
            for number in range(3):
                await store.open_hold(make.hold(f"s{number}", request=f"r{number}"), make.limits)
                await store.forgetting.keep(session=f"s{number}", subject=None, order=ORDER)
            for module, name in ((erasing_open, "_people_of"), (erasing_open, "_people_of_grant")):
                watch(module, name)
            watch(erasing_kept, "named_in")

            async def another() -> None:
                await store.open_hold(make.hold("s3", request="r3"), make.limits)

            then(monkeypatch, another)
            await store.forgetting.erase(sealed.pseudonym(DAN.identity), ORDER)

    run(scenario())
    assert [sum(of) for of in looked.values()] == [1, 0, 0]  # in the transaction, and beside it all of them
    assert [len(of) - sum(of) for of in looked.values()] == [6, 2, 6]


CODES = {
    "hold": "still_held",
    "older hold": "still_held",
    "grant": "grant_in_force",
    "older grant": "grant_in_force",
    "kept": "kept",
    "kept and read": "kept",
}


@pytest.mark.parametrize("what", CODES)
def test_what_waits_for_them_since_they_were_looked_at_is_seen_by_the_order(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    who = Caller(ALICE.issuer, "alice" if what == "grant" else "dan", 0.0)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "theirs", who)
            draft = make.hold(
                "older", request="older", caller=make.caller("zed"), approvals=(TWO,), traits=make.traits
            )
            older = (await store.open_hold(draft, make.limits)).hold
            await store.forgetting.keep(session="older", subject=None, order=ORDER)
            terms = make.terms(approvals=(TWO,))
            by = {name: make.maker(name, approvals=(TWO,)) for name in ("rita", "dan")}
            grant = await store.propose_grant(older.id, terms=terms, shown=older.digest, by=by["rita"])

            async def meanwhile() -> None:
                match what:
                    case "hold":
                        draft = make.hold("new", request="new", caller=make.caller("dan"))
                        await store.open_hold(draft, make.limits)
                        await store.append(make.ended("new"))
                    case "older hold":
                        await store.vote(make.ballot(older, "dan"), make.limits)
                    case "grant":
                        await granted(sealed, make, store)
                    case "older grant":
                        await store.approve_grant(grant.id, digest=grant.digest, by=by["dan"])
                    case "kept and read":
                        read = {"reader": caller_payload(who)}
                        await store.append(EntryDraft(Kind.SESSION_READ, "older", {}, read, who.identity))
                    case "kept":
                        await store.forgetting.keep(session="theirs", subject=None, order=ORDER)

            then(monkeypatch, meanwhile)
            with pytest.raises(Conflict) as refused:
                await store.forgetting.erase(sealed.pseudonym(who.identity), ORDER)
            assert refused.value.code == CODES[what]

    run(scenario())


@pytest.mark.parametrize("step", ["_require_free", "_carry_out"])
def test_a_start_goes_on_while_the_store_has_much_else_to_do_and_the_erasure_is_completed_later(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def busy(*_: Any) -> None:
        raise Unavailable("the record store has too much waiting", code="store_busy")

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ALICE)
            await asked(sealed, make, store, "dan's", DAN)
            for who in ("alice", "dan"):
                await cut_off(sealed, store, monkeypatch, who=who)
            with monkeypatch.context() as patched, capture_logs() as logs:
                patched.setattr(Erasures, step, busy)
                assert await store.forgetting.resume_erasures() == 0
            said = [(line["event"], line["next"]) for line in logs]
            assert said == [("record.erasure_failed", "it is tried again within minutes")] * 2
            sealed.clock.time += LATE_SECONDS + 1
            assert await store.forgetting.complete_erasures() == 2

    run(scenario())
    assert verify(sealed) == []
