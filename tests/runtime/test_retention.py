"""The schedule purges each class by its time, batch after batch, and tries again what failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
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
        async with asyncio.timeout(10):
            while len(store.asked) < 3:
                await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.0)
    asyncio.run(until_purged())


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
        async with asyncio.timeout(30):
            await store.done.wait()
        task.cancel()

    with capture_logs() as logs:
        asyncio.run(until_done())
    assert [line["event"] for line in logs] == [
        *["record.erasure_failed"] * 3,
        "record.erasures_completed",
    ]
    assert quoted not in str(logs)
