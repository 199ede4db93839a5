"""Grants go with the request that they were made from, not before their end, and verification agrees."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tests.store.grants_forgotten import DAY, ISSUER, granted

from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order, PurgeRequest
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")

ORDER = Order("olga", "asked for it")

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
