"""What is damaged keeps neither the service, nor an erasure that it is no part of, from going on."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.test_damaged_holds import change
from tests.store.test_erasures_completed import ALICE, cut_off
from tests.store.test_store_erased_names import asked
from tests.store.test_verify_forgotten import KEY

from authz_service.core.holds import Verdict
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
