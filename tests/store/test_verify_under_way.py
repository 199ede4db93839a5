"""As long as the keys that an order names are there, what they open is verified: a legal hold may keep it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.erased_names import asked
from tests.store.erasures_cut_off import ALICE, cut_off, is_readable
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, change, fill, verify
from tests.store.grants_forgotten import granted


async def waiting(place: Any, make: Any, store: Any, monkeypatch: pytest.MonkeyPatch, step: str) -> str:
    """An erasure that was cut off at a step, and a legal hold placed since; the id of the key in question."""
    await asked(place, make, store, "s1", ALICE)
    (key,) = store._keyring.held(place.pseudonym(ALICE.identity))
    await cut_off(place, store, monkeypatch, step)
    await store.forgetting.keep(session="s1", subject=None, order=ORDER)
    assert await store.forgetting.resume_erasures() == 0
    assert await is_readable(store, "s1") == (step == "_destroy")
    return str(key)


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE payloads SET body = salt WHERE key = '{key}'",
        "DELETE FROM payloads WHERE key = '{key}'",
        "UPDATE sessions SET path = '/other' WHERE id = 's1'",
        "UPDATE sessions SET subject = 'bob' WHERE id = 's1'",
        "UPDATE sessions SET caller_detail = NULL, subject = '', person = '', path = '' WHERE id = 's1'",
    ],
)
def test_what_a_legal_hold_keeps_from_an_erasure_that_was_cut_off_is_verified(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            return await waiting(sealed, make, store, monkeypatch, "_destroy")

    key = run(scenario())
    assert verify(sealed) == []
    change(sealed, spoil.format(key=key))
    assert verify(sealed) != []


@pytest.mark.parametrize("step", ["_carry_out", "_settled"])
def test_a_legal_hold_that_came_after_the_keys_were_destroyed_asks_for_nothing_that_is_gone(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await waiting(sealed, make, store, monkeypatch, step)

    run(scenario())
    assert verify(sealed) == []
    change(sealed, "UPDATE sessions SET path = '/other' WHERE id = 's1'")
    assert verify(sealed) == ["session s1: its column path is not what its entries make of it"]


@pytest.mark.parametrize(
    "hers",
    [
        "holds WHERE session = 'held alice'",
        "votes WHERE hold IN (SELECT id FROM holds WHERE session = 'held alice')",
        "grants",
        "grant_acts",
    ],
)
def test_rows_that_a_legal_hold_keeps_from_an_erasure_that_was_cut_off_are_missed(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, hers: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            grant = await granted(sealed, make, store)
            await store.revoke_grant(grant.id, by=make.maker("rob"))
            await fill(sealed, make, store)
            await cut_off(sealed, store, monkeypatch, "_destroy")
            alice = sealed.pseudonym(ALICE.identity)
            await store.forgetting.keep(session=None, subject=alice, order=ORDER)
            assert await store.forgetting.resume_erasures() == 0

    run(scenario())
    assert verify(sealed) == []
    change(sealed, f"DELETE FROM {hers}")
    said = verify(sealed)
    assert said
    assert {line.split(": ")[1] for line in said} <= {"has entries, and no row", "has an entry, and no row"}
