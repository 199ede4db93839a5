"""Taking somebody's name from many votes is many small units, between which others write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, verify
from tests.store.test_erased_reviewers import RITA

from authz_service.core.holds import Verdict
from authz_service.errors import Unavailable
from authz_service.store import erasing_said, erasing_units

HOLDS = 12


async def votes(store: Any, make: Any) -> list[str]:
    """Requests that rita rejected: the holds' ids."""
    found = []
    for number in range(HOLDS):
        hold = (await store.open_hold(make.hold(f"s{number}", request=f"r{number}"), make.limits)).hold
        await store.vote(make.ballot(hold, "rita", Verdict.REJECT), make.limits)
        await store.append(make.ended(f"s{number}"))
        found.append(hold.id)
    return found


async def voters(store: Any, holds: Sequence[str]) -> set[str]:
    return {vote.name for name in holds for vote in (await store.hold(name)).votes}


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many votes each unit of an erasure has: at most three."""
    taken: list[int] = []
    real = erasing_said.take_votes

    def take(transaction: Any, rows: Sequence[Any], known: Any) -> Any:
        taken.append(len(rows))
        return real(transaction, rows, known)

    monkeypatch.setattr(erasing_said, "take_votes", take)
    for name in ("FIRST_VOTES", "FEWEST_VOTES", "MOST_VOTES"):
        monkeypatch.setattr(erasing_units, name, 3)
    return taken


def test_the_votes_of_an_erased_person_go_a_few_in_each_unit(
    sealed: Any, make: Any, run: Any, units: list[int]
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            holds = await votes(store, make)
            erased = await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert (erased.votes, units) == (HOLDS, [3, 3, 3, 3])
            assert await voters(store, holds) == {""}

    run(scenario())
    assert verify(sealed) == []


def test_an_erasure_that_is_cut_off_between_votes_is_completed(
    sealed: Any, make: Any, run: Any, units: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = erasing_said.take_votes

    def cut_off(transaction: Any, rows: Sequence[Any], known: Any) -> Any:
        if len(units) == 2:
            raise Unavailable("the disk is full", code="store_unavailable")
        return counting(transaction, rows, known)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            holds = await votes(store, make)
            with monkeypatch.context() as patched:
                patched.setattr(erasing_said, "take_votes", cut_off)
                with pytest.raises(Unavailable):
                    await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert len(await voters(store, holds)) == 2
            units.clear()
            assert await store.forgetting.resume_erasures() == 1
            assert units == [3, 3]
            assert await voters(store, holds) == {""}

    run(scenario())
    assert verify(sealed) == []


def test_a_vote_that_another_process_took_the_name_from_is_passed(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = erasing_said.take_votes

    def twice(transaction: Any, rows: Sequence[Any], known: Any) -> Any:
        first, second = real(transaction, rows, known), real(transaction, rows, known)
        assert (second.votes, second.payloads) == (0, 0)
        return first

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await votes(store, make)
            monkeypatch.setattr(erasing_said, "take_votes", twice)
            assert (await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)).votes == HOLDS

    run(scenario())
    assert verify(sealed) == []
