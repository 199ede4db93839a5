"""Grants go with the request that they were made from, not before their end, and verification agrees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order, PurgeRequest
from authz_service.core.grants import OneGroup
from authz_service.core.ports import Granted, HoldLimits
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
DAY = 86_400.0
ORDER = Order("olga", "asked for it")
ISSUER = "https://issuer.example"
TABLES = ("grants", "grant_acts", "grant_uses")


def wrong(place: Any) -> list[str]:
    keyring = place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=[])
    finally:
        keyring.close()
    return [f"{wrong.record}: {wrong.what}" for wrong in report.wrong]


def rows(place: Any, table: str) -> list[Any]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table}")).all()
    engine.dispose()
    return list(found)


async def granted(place: Any, make: Any, store: Any) -> Any:
    """A grant of a month that alice's request made and bob used; all of both has ended."""
    draft = make.hold("made", caller=caller_of(make, "alice"), traits=make.traits)
    hold = (await store.open_hold(of(place, draft, "alice"), HoldLimits())).hold
    until = int(place.clock.time + 29 * DAY)
    terms = make.terms(beneficiary=OneGroup(ISSUER, "staff"), until=until)
    grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker("rita"))
    bob = make.hold("used", request="mine", caller=caller_of(make, "bob"), traits=make.traits)
    assert isinstance(await store.open_hold(of(place, bob, "bob"), HoldLimits()), Granted)
    await store.append(make.ended("made"), make.ended("used"))
    return grant


def caller_of(make: Any, name: str) -> Any:
    return replace(make.caller(name), expires_at=1e12)


def of(place: Any, draft: Any, name: str) -> Any:
    """With whose entries they are, as the service has it."""
    pseudonym = place.pseudonym((ISSUER, name))
    entries = [
        replace(entry, data={**entry.data, "caller": pseudonym} if "caller" in entry.data else entry.data)
        for entry in draft.entries
    ]
    return replace(draft, entries=tuple(replace(entry, subject=pseudonym) for entry in entries))


async def purge(place: Any, store: Any, retention: Retention, days: float) -> None:
    before = round((place.clock.time - days * DAY) * 1_000_000)
    while (await store.forgetting.purge(PurgeRequest(retention, before, "by hand"))).has_more:
        pass


@pytest.mark.parametrize("retention", [Retention.PAYLOADS, Retention.ENTRIES])
def test_what_a_grant_was_made_from_stays_until_that_has_ended(
    retention: Retention, sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            grant = await granted(sealed, make, store)
            sealed.clock.time += 10 * DAY
            await purge(sealed, store, retention, 5)
            assert (await store.grant(grant.id)).used == 1
        assert wrong(sealed) == []
        async with sealed.store(signer=KEY) as store:
            sealed.clock.time += 20 * DAY
            await purge(sealed, store, retention, 5)
            assert await store.grant(grant.id) is None

    run(scenario())
    assert [rows(sealed, table) for table in TABLES] == [[], [], []]
    assert wrong(sealed) == []


@pytest.mark.parametrize("who", ["alice", "rita"])
def test_whoever_asked_or_voted_is_erased_once_the_grant_has_ended(
    who: str, sealed: Any, make: Any, run: Any
) -> None:
    pseudonym = sealed.pseudonym((ISSUER, who))

    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            grant = await granted(sealed, make, store)
            with pytest.raises(Conflict, match=grant.id) as refused:
                await store.forgetting.erase(pseudonym, ORDER)
            assert refused.value.code == "grant_in_force"
            await store.revoke_grant(grant.id, by=make.maker("rob"))
            await store.forgetting.erase(pseudonym, ORDER)

    run(scenario())
    assert wrong(sealed) == []
    for table in TABLES:
        assert not any(who in str(row).casefold() for row in rows(sealed, table))


def test_whoever_only_used_a_grant_is_erased_and_its_use_stays(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY) as store:
            grant = await granted(sealed, make, store)
            await store.forgetting.erase(sealed.pseudonym((ISSUER, "bob")), ORDER)
            assert [use.session for use in (await store.grant(grant.id)).uses] == ["used"]

    run(scenario())
    assert wrong(sealed) == []
