"""What a legal hold on one person keeps of others' sessions survives the erasure of those others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.test_erased_reviewers import TWO
from tests.store.test_erasures_completed import cut_off
from tests.store.test_purging_kept_people import ADA, BOB, CAROL, took_part
from tests.store.test_store_erased_names import asked
from tests.store.test_store_forgetting import ORDER
from tests.store.test_verify_forgotten import KEY, verify

from authz_service.core.holds import Verdict
from authz_service.errors import Conflict
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
