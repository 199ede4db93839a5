"""What tombstones account for is no damage, and what they do not account for is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order, PurgeRequest
from authz_service.core.holds import Verdict
from authz_service.core.ports import HoldLimits
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
DAY = 86_400.0
ORDER = Order("olga", "asked for it")


def verify(place: Any) -> list[str]:
    """What is wrong, in words; the keys are those of the place."""
    keyring = place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=[])
    finally:
        keyring.close()
    return [f"{wrong.record}: {wrong.what}" for wrong in report.wrong]


def change(place: Any, statement: str) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0
    engine.dispose()


async def fill(place: Any, make: Any, store: Any) -> None:
    """Alice and Bob each ask, and wait for the other, who rejects."""
    for name, other in (("alice", "bob"), ("bob", "alice")):
        draft = make.hold(f"held {name}", caller=make.caller(name))
        entries = [of(place, entry, name) for entry in draft.entries]
        hold = (await store.open_hold(replace(draft, entries=tuple(entries)), make.limits)).hold
        await store.vote(make.ballot(hold, other, Verdict.REJECT), HoldLimits())
        ended = make.ended(f"held {name}")
        answered = of(place, EntryDraft(Kind.ANSWER_RELEASED, f"asked {name}", {}, {"body": b"answer"}), name)
        asked = of(place, make.received(f"asked {name}", name), name)
        await store.append(ended, asked, make.decided(f"asked {name}"), answered, make.ended(f"asked {name}"))


def of(place: Any, entry: EntryDraft, name: str) -> EntryDraft:
    pseudonym = place.pseudonym(("https://issuer.example", name))
    data = {**entry.data, "caller": pseudonym} if "caller" in entry.data else entry.data
    return replace(entry, subject=pseudonym, data=data)


async def purge(place: Any, store: Any, retention: Retention, days: float) -> None:
    before = round((place.clock.time - days * DAY) * 1_000_000)
    while (await store.forgetting.purge(PurgeRequest(retention, before, "by hand"))).has_more:
        pass


@pytest.mark.parametrize("with_entries", [False, True])
def test_a_record_that_was_purged_is_fine(sealed: Any, make: Any, run: Any, with_entries: bool) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            if with_entries:
                await purge(sealed, store, Retention.ENTRIES, 95)
            await fill_young(store)

    async def fill_young(store: Any) -> None:
        await store.append(*[of(sealed, entry, "alice") for entry in (make.received("young"),)])
        await store.append(make.ended("young"))

    run(scenario())
    assert verify(sealed) == []


def test_a_record_that_a_person_was_erased_from_is_fine(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            (person,) = await store.forgetting.people("alice")
            erased = await store.forgetting.erase(person.pseudonym, ORDER)
            assert (erased.sessions, erased.votes) == (2, 1)

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM payloads WHERE seq_is_young", "is not there"),
        ("UPDATE entries SET body = '' WHERE seq = (SELECT max(seq) FROM entries)", "do not fit"),
        ("UPDATE sessions SET subject = 'mallory' WHERE id = 'held alice'", "column subject"),
        ("UPDATE sessions SET subject = '', person = '', path = '' WHERE id = 'young'", "column"),
        ("DELETE FROM sessions WHERE id = 'young'", "no row"),
    ],
)
def test_what_no_tombstone_accounts_for_is_named(
    sealed: Any, make: Any, run: Any, tmp_path: Path, statement: str, said: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await fill(sealed, make, store)
            sealed.clock.time += 100 * DAY
            await purge(sealed, store, Retention.PAYLOADS, 90)
            await store.append(of(sealed, make.received("young"), "alice"), make.ended("young"))

    run(scenario())
    young = f"at > {round((sealed.clock.time - DAY) * 1_000_000)} AND retention = 'payloads'"
    empty = "''::bytea" if sealed.url.startswith("postgresql") else "x''"
    change(sealed, statement.replace("seq_is_young", young).replace("body = ''", f"body = {empty}"))
    assert any(said in line for line in verify(sealed)), verify(sealed)
