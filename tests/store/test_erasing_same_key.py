"""Reviewers who sent the same idempotency key, as scripts do, can all be erased, one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.forgetting import ORDER, rows

from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.log_key import LogKey

KEY = LogKey.create("example.com/log")
TWO = Approval("two", (Stage("true", 2, 600.0),))


@pytest.mark.parametrize("what", ["grant", "hold"])
def test_two_who_chose_the_same_key_can_both_be_erased(
    what: str, sqlite_url: str, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        place = make.place(sqlite_url)
        async with place.store(signer=KEY, is_first_signer=True) as store:
            draft = make.hold("s1", traits=make.traits, approvals=(TWO,))
            hold = (await store.open_hold(draft, HoldLimits())).hold
            for name in ("rita", "rob"):
                await say(store, hold, name)
            await store.append(make.ended("s1"))
            place.clock.time += 40 * 86_400
            await store.expire_overdue()
            for name in ("rita", "rob"):
                pseudonym = place.pseudonym(("https://issuer.example", name))
                erased = await store.forgetting.erase(pseudonym, ORDER)
                assert erased.votes == (1 if what == "hold" else 0)
        async with place.store(signer=KEY) as store:
            await store.forgetting.resume_erasures()
            assert len({row.voter for row in rows(place, f"SELECT voter FROM {table}")}) == 2
            said = "".join(str(row) for row in rows(place, f"SELECT voter, account, detail FROM {table}"))
            assert "rita" not in said
            assert "rob" not in said
            assert not (await store.forgetting.people("rita"))

    table = "votes" if what == "hold" else "grant_acts"

    async def say(store: Any, hold: Any, name: str) -> None:
        if what == "hold":
            await store.vote(make.ballot(hold, name, key="approve"), HoldLimits())
        else:
            by = make.maker(name, approvals=(TWO,), key="grant")
            terms = make.terms(approvals=(TWO,))
            await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by)

    run(scenario())
