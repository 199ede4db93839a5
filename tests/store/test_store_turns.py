"""Turns of a hold, reminders and escalations, come in their time and are on record once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.acting import LIMITS, act, kinds, opened

from authz_service.core.acts import ActKind, Revision
from authz_service.core.business_hours import Hours
from authz_service.core.holds import Approval, Escalation, Stage, StageRef
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

ESCALATING = Approval("esc", (Stage("r", 2, 60.0, Escalation("leads", 60.0), remind=20.0),))
BEFORE, AFTER = StageRef("esc", 0), StageRef("esc", 0, is_escalated=True)

KEY = LogKey.create("example.com/log")


def test_an_overdue_stage_is_escalated_before_any_sweep_and_on_record_once(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            assert (hold.open_stages, hold.is_due_soon) == ((BEFORE,), False)
            await store.vote(make.ballot(hold, "rita", stages=(BEFORE,)), LIMITS)
            place.clock.time += 40
            soon = await store.hold(hold.id)
            assert soon is not None
            assert soon.is_due_soon
            place.clock.time += 20
            with pytest.raises(Forbidden):
                await store.vote(make.ballot(hold, "sam", stages=(BEFORE,)), LIMITS)
            with pytest.raises(Conflict) as twice:
                await store.vote(make.ballot(hold, "rita", stages=(BEFORE, AFTER)), LIMITS)
            assert twice.value.code == "already_voted"
            await store.expire_overdue()
            assert (await kinds(store, hold))[-2:] == ["hold.reminded", "hold.escalated"]
            assert await store.expire_overdue() == 0
            now = await store.hold(hold.id)
            assert now is not None
            assert (now.open_stages, now.is_due_soon) == ((AFTER,), False)
            done = await store.vote(make.ballot(hold, "lea", stages=(AFTER,)), LIMITS)
            assert done.state is HoldState.APPROVED
            assert await store.expire_overdue() == 0

    run(scenario())


def test_a_vote_puts_the_turns_before_it_on_record(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            place.clock.time += 100
            await store.vote(make.ballot(hold, "lea", stages=(AFTER,)), LIMITS)
            recorded = ["hold.reminded", "hold.escalated", "hold.reminded", "hold.voted"]
            assert (await kinds(store, hold))[1:] == recorded

    run(scenario())


def test_silence_in_both_parts_of_a_stage_expires(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(ESCALATING,)))
            place.clock.time += 120
            gone = await store.hold(hold.id)
            assert gone is not None
            assert gone.state is HoldState.EXPIRED
            assert await store.expire_overdue() == 1
            assert (await kinds(store, hold))[-1] == "hold.expired"

    run(scenario())


def test_business_hours_stop_the_clock_of_a_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        hours = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
        office = Approval("office", (Stage("true", 1, 3600.0, hours=hours),))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(office,)))
            # It opens on Friday 2027-01-15 at 09:00 in Berlin.
            assert hold.deadline == hold.created_at + 3600
            place.clock.time += 9 * 3600
            late = await opened(store, make.hold(request="late", approvals=(office,)))
            assert late.deadline - late.created_at == (3 * 24 + 1 - 9) * 3600

    run(scenario())


def test_reminders_and_escalations_come_in_business_hours_after_edits_and_withdrawals_too(
    place: Any, make: Any, run: Any
) -> None:
    hours = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
    stage = Stage("true", 2, 4 * 3600.0, Escalation("leads", 3600.0), 1800.0, hours, remind_in_hours=True)
    office = Approval("office", (stage,))
    part = StageRef("office", 0)

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            # It opens on Friday 2027-01-15 at 09:00 in Berlin, and is edited at 15:00.
            hold = await opened(store, make.hold(approvals=(office,)))
            place.clock.time += 3600
            await store.vote(make.ballot(hold, "rita"), LIMITS)
            await store.act(act(hold, ActKind.WITHDRAW, "rita"), LIMITS)
            place.clock.time += 5 * 3600
            hold = await opened(store, make.hold(request="late", approvals=(office,)))
            edit = Revision(hold.digest, b"changed", {}, (part,))
            hold = await store.act(act(hold, ActKind.EDIT, "sam", revision=edit), LIMITS)
            monday = hold.created_at + (3 * 24 - 6) * 3600
            assert hold.deadline == monday + 3 * 3600
            told = []
            for at in (monday, monday + 5400, monday + 7200, monday + 9000):
                place.clock.time = at - 1
                await store.expire_overdue()
                told.append((await kinds(store, hold))[2:])
                place.clock.time = at
                await store.expire_overdue()
            told.append((await kinds(store, hold))[2:])
            steps = ["hold.reminded", "hold.escalated", "hold.reminded"]
            assert told == [[], [], steps[:1], steps[:2], steps]
        with reading(place.url) as reader:
            assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []

    run(scenario())
