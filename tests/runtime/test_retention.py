"""The schedule purges each class by its time, batch after batch, and tries again what failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from authz_service.audit.retention import Retention
from authz_service.config.keeping_values import Keep
from authz_service.core.forgetting import Purged, PurgeRequest
from authz_service.errors import Unavailable
from authz_service.runtime import retention
from authz_service.runtime.retention import Retaining, duration

DAY = 86_400.0


@dataclass
class Batches:
    """A store whose purges take these batches in turn; an error among them is raised."""

    batches: list[Purged | Exception]
    asked: list[PurgeRequest] = field(default_factory=list)

    async def purge(self, request: PurgeRequest) -> Purged:
        self.asked.append(request)
        batch = self.batches.pop(0) if self.batches else Purged()
        if isinstance(batch, Exception):
            raise batch
        return batch


async def now() -> float:
    return 1_000 * DAY


def retaining(store: Any) -> Retaining:
    return Retaining(store, Keep(entries=400 * DAY, payloads=36 * 3600.0, originals=3600.0), now=now)


def test_each_class_goes_by_its_own_time_and_what_is_kept_least_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)
    store = Batches([Purged(), Purged(3, 2, 10, has_more=True), Purged(1, 1, 5), Purged(4, 0, 0)])
    task = retaining(store)
    asyncio.run(task.purge())
    assert [request.retention for request in store.asked] == [
        Retention.ORIGINALS,
        Retention.PAYLOADS,
        Retention.PAYLOADS,
        Retention.ENTRIES,
    ]
    assert store.asked[0].policy == "record.keep.originals: 1h"
    assert store.asked[1].before == round((1_000 - 1.5) * DAY * 1_000_000)
    assert store.asked[1].policy == "record.keep.payloads: 36h"
    assert store.asked[3].before == round(600 * DAY * 1_000_000)
    assert (task.purged.entries, task.purged.payloads, task.purged.size) == (8, 3, 15)


@pytest.mark.parametrize(
    "error", [Unavailable("the disk is full"), ValueError("not an entry"), TypeError("no text")]
)
def test_what_fails_is_tried_again_and_never_ends_the_service(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Batches([error])

    async def until_purged() -> None:
        task = asyncio.create_task(retaining(store).run())
        async with asyncio.timeout(60):
            while len(store.asked) < 3:
                await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.0)
    asyncio.run(until_purged())


def test_what_keeps_one_class_from_being_purged_keeps_no_other() -> None:
    store = Batches([Unavailable("damaged"), ValueError("not an entry"), Purged(4, 0, 0)])
    task = retaining(store)
    with capture_logs() as logs:
        asyncio.run(task.purge())
    assert [request.retention for request in store.asked] == list(reversed(Retention))
    assert [(line["event"], line.get("error")) for line in logs] == [
        ("record.purge_failed", "damaged"),
        ("record.purge_failed", "ValueError"),
        ("record.purged", None),
    ]
    assert task.purged.entries == 4


def test_times_are_said_as_the_file_writes_them() -> None:
    assert [duration(seconds) for seconds in (DAY, 90 * DAY, 36 * 3600.0)] == ["1d", "90d", "36h"]


@dataclass
class CutOff:
    """A store with erasures that were cut off: so many are completed in turn, or an error is raised."""

    outcomes: list[int | Exception]
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def complete_erasures(self) -> int:
        if not self.outcomes:
            self.done.set()
            return 0
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_erasures_that_were_cut_off_are_completed_while_the_service_runs_however_often_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "COMPLETE_SECONDS", 0.001)
    quoted = "what is on record"

    async def until_done() -> None:
        store = CutOff([Unavailable("the keys are away"), ValueError(quoted), TypeError(quoted), 2])
        task = asyncio.create_task(retaining(store).complete())
        async with asyncio.timeout(60):
            await store.done.wait()
        task.cancel()

    with capture_logs() as logs:
        asyncio.run(until_done())
    assert [line["event"] for line in logs] == [
        *["record.erasure_failed"] * 3,
        "record.erasures_completed",
    ]
    assert quoted not in str(logs)


async def until_done(store: Any, sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> Purged:
    async def passes(seconds: float) -> None:
        sleeps.append(seconds)

    monkeypatch.setattr(retention, "asyncio", SimpleNamespace(sleep=passes))
    return await retention.purge_all(store, PurgeRequest(Retention.PAYLOADS, 1, "test"))


@pytest.mark.parametrize("code", ["store_unavailable", "store_busy"])
def test_a_store_that_is_busy_is_asked_again_soon_and_goes_on_where_it_was(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Unavailable("it has much to do", code=code)
    store = Batches([Purged(3, 2, 10, has_more=True), busy, busy, Purged(1, 1, 5)])
    sleeps: list[float] = []
    taken = asyncio.run(until_done(store, sleeps, monkeypatch))
    assert (taken.entries, taken.payloads) == (4, 3)
    assert sleeps[1:] == [1.0, 2.0]


def test_a_store_that_stays_away_ends_a_purge_and_one_that_is_damaged_does_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = Batches([Unavailable("away", code="store_unavailable")] * 9)
    damaged = Batches([Unavailable("damaged", code="record_damaged")] * 9)
    for store, asked in ((away, 5), (damaged, 1)):
        with pytest.raises(Unavailable):
            asyncio.run(until_done(store, [], monkeypatch))
        assert len(store.asked) == asked


def test_after_a_batch_the_store_is_left_to_others_for_as_long_as_that_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([10.0, 10.001, 20.0, 23.0, 30.0])  # each batch begins, and is over
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: next(times)))
    more = Purged(3, 2, 10, has_more=True)
    sleeps: list[float] = []
    asyncio.run(until_done(Batches([more, more, Purged()]), sleeps, monkeypatch))
    assert sleeps == [retention.PAUSE_SECONDS, 3.0]
