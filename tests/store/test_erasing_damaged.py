"""What is damaged keeps neither the service, nor an erasure that it is no part of, from going on."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.test_damaged_holds import change, code_of, opened
from tests.store.test_erasures_completed import ALICE, cut_off
from tests.store.test_store_erased_names import ZELDA, asked
from tests.store.test_store_forgetting import ORDER
from tests.store.test_verify_forgotten import KEY

from authz_service.core.holds import Verdict
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict
from authz_service.store.column_texts import identity_text
from authz_service.store.forgetting import LATE_SECONDS


@pytest.mark.parametrize("voter", ["5", "null", '["issuer", 5]'])
def test_an_erasure_of_whose_vote_is_damaged_is_left_until_it_can_be_read(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, voter: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            hold = (await store.open_hold(make.hold("h", caller=make.caller("zed")), make.limits)).hold
            await store.vote(make.ballot(hold, "alice", Verdict.REJECT), make.limits)
            await store.append(make.ended("h"))
            await asked(sealed, make, store, "s1", ALICE)
            await cut_off(sealed, store, monkeypatch)
            become = "UPDATE votes SET voter = :voter WHERE hold = :id"
            change(sealed, become, id=hold.id, voter=voter)
            sealed.clock.time += LATE_SECONDS + 1
            with capture_logs() as logs:
                assert await store.forgetting.complete_erasures() == 0
                assert await store.forgetting.resume_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_failed"] * 2
            change(sealed, become, id=hold.id, voter=identity_text(ALICE.identity))
            assert await store.forgetting.complete_erasures() == 1

    run(scenario())


@pytest.mark.parametrize("damage", ["detail = '{'", "identity = '5'"])
def test_who_has_no_part_in_a_damaged_hold_is_erased_and_who_has_one_by_the_entries_is_not(
    sealed: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            hold = await opened(store, make)
            await store.vote(make.ballot(hold, "rita", Verdict.APPROVE), make.limits)
            await store.append(make.ended(hold.session))
            change(sealed, f"UPDATE holds SET {damage} WHERE id = :id", id=hold.id)
            for name in (hold.caller.identity, make.ballot(hold, "rita", Verdict.APPROVE).voter):
                with pytest.raises(Conflict, match=hold.id) as refused:
                    await store.forgetting.erase(sealed.pseudonym(name), ORDER)
                assert refused.value.code == "still_held"
            erased = await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert erased.sessions == 1

    run(scenario())


def test_nobody_is_erased_beside_a_damaged_hold_that_no_entry_tells_of(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            hold = await opened(store, make)
            change(sealed, "UPDATE holds SET detail = '{', session = 'hers' WHERE id = :id", id=hold.id)
            assert await code_of(store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)) == DAMAGED

    run(scenario())
