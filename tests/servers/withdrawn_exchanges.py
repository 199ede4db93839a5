"""Holds of an exchange whose caller is withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.servers.ext_proc_fakes import Service

from authz_service.core.ballots import Ballot
from authz_service.core.holds import StageRef, Verdict
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState, HoldSummary


async def holds(service: Service) -> Sequence[HoldSummary]:
    return (await service.gateway.store.holds(HoldQuery())).items


async def waited_for(service: Service) -> HoldSummary:
    """The one hold, once somebody waits for it."""
    async with asyncio.timeout(60):
        while True:
            pending = [hold for hold in await holds(service) if hold.state is HoldState.PENDING]
            if pending and service.gateway.waiting.total:
                (hold,) = pending
                return hold
            await asyncio.sleep(0.005)


async def approved(service: Service) -> None:
    """Approve the one hold, once somebody waits for it."""
    await approve(service, await waited_for(service))


async def approve(service: Service, hold: HoldSummary) -> None:
    ballot = Ballot(
        hold=hold.id,
        voter=("https://id", "rita"),
        name="rita",
        verdict=Verdict.APPROVE,
        digest=hold.digest,
        may_vote_in=(StageRef("security", 0),),
    )
    await service.gateway.store.vote(ballot, HoldLimits())
