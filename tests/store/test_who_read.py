"""Who read, searched or ended what somebody asked is told by entries, whoever was erased since."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.store.erased_names import asked
from tests.store.forgetting import DAY, ORDER, purge_all, request
from tests.store.forgotten import KEY, change, verify
from tests.store.forgotten_exports import exported
from tests.store.grants_forgotten import ISSUER

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.store import ledger
from authz_service.view.caller import Caller

ADA, BOB, XENIA = (Caller(ISSUER, name, 0.0) for name in ("ada", "bob", "xenia"))
SOMEBODY_ELSES = "cannot be opened: its key was destroyed, and was that of somebody else"


def drafts(who: Caller) -> list[EntryDraft]:
    """What somebody reads, searches and ends; each names them as the review API does."""
    name = caller_payload(who)
    return [
        EntryDraft(Kind.SESSION_READ, "xenia's", {}, {"reader": name, "reason": b"case 7"}, who.identity),
        EntryDraft(Kind.SESSION_SEARCHED, None, {}, {"reader": name, "text": b"merger"}, who.identity),
        EntryDraft(Kind.SESSION_KILLED, "xenia's", {}, {"operator": name, "reason": b"no"}, who.identity),
    ]


async def read_by_two(place: Any, make: Any, store: Any) -> None:
    await asked(place, make, store, "xenia's", XENIA)
    for who in (ADA, BOB):
        for draft in drafts(who):
            await store.append(draft)
    await store.append(make.ended("xenia's"))


def keys_of(place: Any, who: Caller) -> list[str]:
    keyring = place.keyring()
    try:
        return list(keyring.held(place.pseudonym(who.identity)))
    finally:
        keyring.close()


def test_who_read_what_somebody_asked_is_told_after_another_was_erased(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    ada, bob = sealed.pseudonym(ADA.identity), sealed.pseudonym(BOB.identity)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await read_by_two(sealed, make, store)
            await store.forgetting.erase(ada, ORDER)
            entries = [e for e in await store.entries("xenia's") if e.kind.startswith("session.")]
            told = [(e.kind, e.data.get("reader") or e.data["operator"], bool(e.missing)) for e in entries]
            assert told == [
                (kind, who, who == ada) for who in (ada, bob) for kind in ("session.read", "session.killed")
            ]
            assert "erased on" in entries[0].missing["reader"]

    run(scenario())
    assert verify(sealed) == []
    assert exported(sealed, tmp_path / "out").wrong == []


def test_no_reading_passes_for_that_of_somebody_who_was_erased(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await read_by_two(sealed, make, store)
            (gone,) = (await store.forgetting.erase(sealed.pseudonym(ADA.identity), ORDER)).keys
            return str(gone)

    gone = run(scenario())
    (bobs,) = keys_of(sealed, BOB)
    change(sealed, f"UPDATE payloads SET key = '{gone}' WHERE key = '{bobs}'")
    said = [re.sub(r"payload (\w+) of entry \d+: ", r"\1: ", line) for line in verify(sealed)]
    hidden = ("reader", "reason", "reader", "text", "operator", "reason")
    assert sorted(said) == sorted(f"{name}: {SOMEBODY_ELSES}" for name in hidden)
    assert len(exported(sealed, tmp_path / "out").wrong) == len(hidden)


def test_a_reading_that_was_taken_out_does_not_pass_for_erased_beside_the_live_record(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> str:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await read_by_two(sealed, make, store)
            (gone,) = (await store.forgetting.erase(sealed.pseudonym(ADA.identity), ORDER)).keys
            return str(gone)

    gone = run(scenario())
    change(sealed, f"DELETE FROM payloads WHERE key = '{gone}'")
    assert {line.split(": ")[1] for line in verify(sealed)} == {"is not there"}


@pytest.mark.parametrize("is_purged", [False, True])
def test_entries_of_before_that_name_nobody_are_valid(
    sealed: Any,
    make: Any,
    run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_purged: bool,
) -> None:
    monkeypatch.setattr(ledger, "_COMPLETED", frozenset({Kind.REQUEST_RECEIVED}))

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await read_by_two(sealed, make, store)
            assert not any(e.data.get("reader") for e in await store.entries("xenia's"))
            await store.forgetting.erase(sealed.pseudonym(ADA.identity), ORDER)
            if is_purged:
                sealed.clock.time += 100 * DAY
                assert (await purge_all(store, request(sealed))).payloads

    run(scenario())
    assert verify(sealed) == []
    assert exported(sealed, tmp_path / "out").wrong == []
