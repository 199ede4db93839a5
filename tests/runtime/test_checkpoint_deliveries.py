"""Receivers get the newest checkpoint at their own pace; failures are on record once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from tests.runtime.checkpoints_place import DELIVERY, Memory, Place, filled, until, within

from authz_service.audit.draft import EntryDraft
from authz_service.errors import Misconfigured, Unavailable
from authz_service.runtime import checkpoint_delivery
from authz_service.runtime.checkpoint_delivery import FAILING_AFTER, Deliveries
from authz_service.store.checkpoint_file import append, newest


def test_a_receiver_that_refuses_is_tried_again_and_holds_up_no_other(log_place: Place) -> None:
    async def scenario() -> None:
        slow, quick = Memory("slow", refusals=3), Memory("quick")
        deliveries = Deliveries(
            [slow, quick], log_place.folder / "state" / "receivers.json", first_pause=0.01
        )
        delivering = asyncio.create_task(deliveries.run())
        deliveries.offer(DELIVERY)
        await until(lambda: bool(quick.got))
        await until(lambda: bool(slow.got))
        await until(lambda: deliveries.standings["slow"].error == "")
        assert (deliveries.standings["slow"].failures, deliveries.standings["slow"].size) == (3, 7)
        shown = json.loads((log_place.folder / "state" / "receivers.json").read_text())
        assert [(s["name"], s["size"], s["failures"]) for s in shown] == [("slow", 7, 3), ("quick", 7, 0)]
        delivering.cancel()

    within(scenario())


@dataclass
class Recorded:
    """What deliveries put on record; the store is away for the first `refusals` entries."""

    refusals: int = 0
    drafts: list[EntryDraft] = field(default_factory=list)

    async def record(self, draft: EntryDraft) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the store is away", code="store_unavailable")
        self.drafts.append(draft)

    def kinds(self) -> list[str]:
        return [draft.kind.value for draft in self.drafts]


async def delivered(deliveries: Deliveries, memory: Memory, *, times: int) -> None:
    """Offer one and see it arrive, as often."""
    before = len(memory.got)
    for number in range(times):
        deliveries.offer(DELIVERY)
        await until(lambda want=before + number + 1: len(memory.got) >= want)  # type: ignore[misc]  # a default
        await until(lambda: deliveries.standings[memory.name].error == "")


@pytest.mark.parametrize(
    ("refusals", "told"),
    [
        (FAILING_AFTER - 1, []),
        (FAILING_AFTER, ["checkpoint.failing", "checkpoint.delivered"]),
        (3 * FAILING_AFTER, ["checkpoint.failing", "checkpoint.delivered"]),
    ],
)
def test_a_receiver_that_fails_again_and_again_is_on_record_once_and_its_recovery_too(
    log_place: Place, monkeypatch: pytest.MonkeyPatch, refusals: int, told: list[str]
) -> None:
    monkeypatch.setattr(checkpoint_delivery, "LONGEST_PAUSE", 0.01)
    memory, recorded = Memory("far", refusals=refusals), Recorded()

    async def scenario() -> None:
        state = log_place.folder / "receivers.json"
        deliveries = Deliveries([memory], state, first_pause=0.001, record=recorded.record)
        delivering = asyncio.create_task(deliveries.run())
        await delivered(deliveries, memory, times=2)
        await until(lambda: recorded.kinds() == told)
        delivering.cancel()

    within(scenario())
    for draft in recorded.drafts[:1]:
        assert draft.data == {"receiver": "far", "size": 0, "failures": FAILING_AFTER}
        assert sorted(draft.payloads) == ["error"]


def test_a_recovery_after_a_restart_is_on_record_and_a_store_that_is_away_is_asked_again(
    log_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_delivery, "LONGEST_PAUSE", 0.01)
    state = log_place.folder / "receivers.json"
    before, after = Recorded(refusals=2), Recorded()

    async def failing() -> None:
        deliveries = Deliveries(
            [Memory("far", refusals=10**6)], state, first_pause=0.001, record=before.record
        )
        delivering = asyncio.create_task(deliveries.run())
        deliveries.offer(DELIVERY)
        await until(lambda: b'"is_failing":true' in state.read_bytes())
        delivering.cancel()

    async def recovering() -> None:
        memory = Memory("far")
        deliveries = Deliveries([memory], state, first_pause=0.001, record=after.record)
        delivering = asyncio.create_task(deliveries.run())
        await delivered(deliveries, memory, times=1)
        await until(lambda: b'"is_failing":false' in state.read_bytes())
        delivering.cancel()

    within(failing())
    assert before.kinds() == ["checkpoint.failing"]
    within(recovering())
    assert after.kinds() == ["checkpoint.delivered"]


def test_what_was_not_delivered_before_a_stop_is_delivered_after_the_next_start(log_place: Place) -> None:
    async def scenario() -> None:
        await filled(log_place)
        store = await log_place.open()
        memory = Memory()
        checkpoints = log_place.checkpoints(store, memory)
        await checkpoints.compare()
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        await until(lambda: bool(memory.got))
        assert memory.got[0].checkpoint.size == 11
        delivering.cancel()
        await store.close()

    within(scenario())


def test_a_line_that_a_crash_has_cut_is_passed_over_and_ended(log_place: Place) -> None:
    async def scenario() -> None:
        await filled(log_place)
        whole = log_place.path.read_bytes()
        log_place.path.write_bytes(whole + whole[:50])
        kept = newest(log_place.path)
        assert kept is not None
        assert kept.checkpoint.size == 11
        append(log_place.path, whole.splitlines(keepends=True)[0])
        assert log_place.path.read_bytes() == whole + whole[:50] + b"\n" + whole.splitlines(keepends=True)[0]
        log_place.path.write_bytes(b"nothing\nat all\n")
        with pytest.raises(Misconfigured, match="no checkpoints"):
            newest(log_place.path)
        log_place.path.write_bytes(b"")
        assert newest(log_place.path) is None

    within(scenario())


def test_a_receiver_with_a_fault_stops_neither_the_others_nor_the_service(log_place: Place) -> None:
    class Faulty(Memory):
        async def deliver(self, delivery: object) -> None:
            raise KeyError("a password")

    async def scenario() -> None:
        quick, faulty = Memory("quick"), Faulty("faulty")
        deliveries = Deliveries([faulty, quick], first_pause=0.01)
        delivering = asyncio.create_task(deliveries.run())
        deliveries.offer(DELIVERY)
        await until(lambda: bool(quick.got) and deliveries.standings["faulty"].failures > 1)
        assert deliveries.standings["faulty"].error == "it failed (KeyError)"
        assert not delivering.done()
        delivering.cancel()

    within(scenario())
