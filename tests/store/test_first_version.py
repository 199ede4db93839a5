"""A record of the first version, with payloads in clear and heads unsigned, goes on under this one.

The file was written by `authz up` of that version: an allowed request, two denied ones, and three that were
held, of which one was approved, one rejected, and one left waiting.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order, PurgeRequest
from authz_service.core.holds import Verdict
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState
from authz_service.keys.log_key import LogKey
from authz_service.store.migrate import migrate
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
WRITTEN = 1_795_244_300.0
"""A moment after the last entry, in seconds since the epoch."""


@pytest.fixture
def first(make: Any, tmp_path: Path) -> Any:
    path = tmp_path / "authz.db"
    path.write_bytes(gzip.decompress((Path(__file__).parent / "first_version.db.gz").read_bytes()))
    migrate(f"sqlite:///{path}")
    place = make.place(f"sqlite:///{path}")
    place.keys = tmp_path / "keys"
    place.keys.mkdir(mode=0o700)
    place.clock.time = WRITTEN
    return place


def wrong(place: Any) -> list[str]:
    keyring = place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=[])
    finally:
        keyring.close()
    return [f"{each.record}: {each.what}" for each in report.wrong]


def test_it_verifies_and_what_waited_is_decided(first: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with first.store(signer=KEY, is_first_signer=True) as store:
            (hold,) = [h for h in (await store.holds(HoldQuery())).items if h.state is HoldState.PENDING]
            approved = await store.vote(make.ballot(hold, "rita", Verdict.APPROVE), HoldLimits())
            assert approved.state is HoldState.APPROVED
            await store.append(make.received("young"), make.ended("young"))

    run(scenario())
    assert wrong(first) == []


@pytest.mark.parametrize("what", [Retention.PAYLOADS, Retention.ENTRIES])
def test_it_verifies_after_a_purge(first: Any, make: Any, run: Any, what: Retention) -> None:
    async def scenario() -> None:
        async with first.store(signer=KEY, is_first_signer=True) as store:
            first.clock.time += 86_400.0
            await store.expire_overdue()
            before = round(first.clock.time * 1_000_000)
            request = PurgeRequest(what, before, "by hand", Order("olga", "tidy"))
            assert (await store.forgetting.purge(request)).payloads > 10

    run(scenario())
    assert wrong(first) == []
