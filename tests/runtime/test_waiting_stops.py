"""Who waits while the service stops or leaves its models."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.runtime.waiting_fakes import Holds, join, run

from authz_service.core.acts import AnswerHead
from authz_service.core.events import HoldApproved, HoldEnded
from authz_service.core.stored_holds import HoldState
from authz_service.runtime.mailbox import ServiceStops
from authz_service.runtime.waiting import Waiting


def test_a_service_that_stops_lets_go_who_waits_and_whoever_still_joins() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, _ = join(waiting)
        waiting.stop()
        assert await first == ServiceStops()
        late, _ = join(waiting)
        assert await late == ServiceStops()

    run(scenario)


def test_who_was_told_of_an_approval_before_the_service_stops_goes_on_with_it() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        first, _ = join(waiting)
        second, _ = join(waiting)
        holds.become(HoldState.APPROVED)
        assert isinstance(await first, HoldApproved)
        assert (waiting.total, waiting.untold) == (2, 1)
        waiting.stop()
        assert await second == ServiceStops()

    run(scenario)


def test_once_models_are_left_an_approval_is_kept_for_the_next_process_and_a_rejection_told() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        told, _ = join(waiting)
        waiting.leave_models()
        holds.become(HoldState.APPROVED)
        while waiting.approved or not holds.passed_on:
            await asyncio.sleep(0)
        assert (told.done(), waiting.untold) == (False, 1)
        holds.become(HoldState.REJECTED)
        assert isinstance(await told, HoldEnded)

    run(scenario)


def test_an_approved_answer_of_a_model_is_passed_on_then() -> None:
    async def scenario(holds: Holds, waiting: Waiting) -> None:
        holds.current = replace(holds.current, answer=AnswerHead(200, {}, {}))
        told, _ = join(waiting)
        waiting.leave_models()
        holds.become(HoldState.APPROVED)
        assert isinstance(await told, HoldApproved)

    run(scenario)
