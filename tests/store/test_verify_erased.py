"""After an erasure what is about somebody else is still looked at, byte for byte."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from sqlalchemy import update
from tests.store.filled_record import change as change_of
from tests.store.filled_record import identified, mutated, rows_of
from tests.store.forgotten import DAY, KEY, ORDER, change, fill, purge, verify

from authz_service.audit.retention import Retention
from authz_service.core.entries import exported
from authz_service.store.schema import payloads


def test_a_record_that_a_person_was_erased_from_is_fine(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            (person,) = await store.forgetting.people("alice")
            erased = await store.forgetting.erase(person.pseudonym, ORDER)
            assert (erased.sessions, erased.votes) == (2, 1)

    run(scenario())
    assert verify(sealed) == []


async def erase_alice(place: Any, store: Any) -> str:
    """Alice is erased, who has exported once; the id of the key that was hers."""
    alice = place.pseudonym(("https://issuer.example", "alice"))
    await store.append(exported(1, None, payloads=0, reader=alice, name=b"alice"))
    (person,) = await store.forgetting.people("alice")
    (key,) = (await store.forgetting.erase(person.pseudonym, ORDER)).keys
    return str(key)


@pytest.mark.parametrize("is_renamed", [False, True])
def test_no_payload_is_taken_for_erased_that_is_about_somebody_else(
    sealed: Any, make: Any, run: Any, is_renamed: bool
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            return await erase_alice(sealed, store)

    gone = run(scenario())
    assert verify(sealed) == []
    keyring = sealed.keyring()
    (bobs,) = keyring.held(sealed.pseudonym(("https://issuer.example", "bob")))
    keyring.close()
    change(sealed, f"UPDATE payloads SET key = '{gone}' WHERE key = '{bobs}'")
    if is_renamed:
        change(sealed, "UPDATE sessions SET subject = 'mallory', caller_detail = '{}' WHERE subject = 'bob'")
    said = verify(sealed)
    kinds = {re.sub(r"payload (\w+) of entry \d+: ", r"\1: ", line) for line in said}
    what = "cannot be opened: its key was destroyed, and was that of somebody else"
    assert {f"{name}: {what}" for name in ("caller", "voter", "body", "forward")} <= kinds


@pytest.mark.parametrize("column", [column.name for column in payloads.c])
def test_a_changed_byte_of_any_payload_is_found_after_an_erasure(
    sealed: Any, make: Any, run: Any, column: str
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            return await erase_alice(sealed, store)

    gone = run(scenario())
    assert gone in {row.key for row in rows_of(sealed, payloads)}
    chance = random.Random(column)
    for row in rows_of(sealed, payloads):
        if row.key == gone and column in ("salt", "body"):
            continue  # nobody can open it any more
        old = getattr(row, column)
        others = [gone] if column == "key" and row.key != gone else []
        for new in (mutated(payloads.c[column], old, chance), *others):
            changed = {column: new}
            change_of(sealed, update(payloads).where(identified(payloads, row)).values(changed))
            assert verify(sealed), (column, row.digest.hex(), new)
            undo = update(payloads).where(identified(payloads, row, **changed)).values({column: old})
            change_of(sealed, undo)
    assert verify(sealed) == []


@pytest.mark.parametrize("is_purged", [False, True])
@pytest.mark.parametrize("leaf", ["NULL", "body", "substr(leaf, 1, 31)"])
def test_an_entry_whose_leaf_hash_is_no_hash_is_named(
    sealed: Any, make: Any, run: Any, leaf: str, is_purged: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            if is_purged:
                sealed.clock.time += 100 * DAY
                await purge(sealed, store, Retention.ENTRIES, 90)
            await store.append(make.received("young"), make.ended("young"))

    run(scenario())
    assert verify(sealed) == []
    change(sealed, f"UPDATE entries SET leaf = {leaf} WHERE seq = 2")
    what = "its leaf hash is none" if is_purged else "its bytes and its leaf hash do not fit each other"
    assert f"entry 2: {what}" in verify(sealed)
