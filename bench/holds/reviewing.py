"""What a reviewer does while thousands wait: lists, looks, watches, approves one by one and all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from bench.holds.arrivals import Arrivals
from bench.holds.crowd import MARK
from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import grants_pb2
from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceStub
from authz_api.v1.holds_pb2_grpc import HoldServiceStub

PAGE = 200
MOST = 64 * 1024 * 1024
ARRIVES_WITHIN = 20.0
STARTS_WITHIN = 60.0
GRANTED_FOR = 3600


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A reviewer with a token, on one connection to the review API."""

    api: Any  # grpc's stubs have no types
    grants: Any
    token: str

    def _with(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    async def pending(self) -> list[pb.Hold]:
        """All pending holds, newest first."""
        request = pb.ListHoldsRequest(states=[pb.HOLD_STATE_PENDING], page_size=PAGE)
        found: list[pb.Hold] = []
        while True:
            page = await self.api.ListHolds(request, metadata=self._with())
            found += page.holds
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def page(self) -> None:
        """One page as long as pages get."""
        request = pb.ListHoldsRequest(states=[pb.HOLD_STATE_PENDING], page_size=PAGE)
        await self.api.ListHolds(request, metadata=self._with())

    async def get(self, hold: str) -> pb.Hold:
        """One hold with its body."""
        return (await self.shown(hold)).hold

    async def shown(self, hold: str) -> pb.GetHoldResponse:
        """The same with what was decided before on requests like it."""
        found: pb.GetHoldResponse = await self.api.GetHold(pb.GetHoldRequest(id=hold), metadata=self._with())
        return found

    async def first_of_watch(self) -> None:
        """Until the first hold of a new watch has come."""
        call = self.api.WatchHolds(pb.WatchHoldsRequest(), metadata=self._with())
        async for _ in call:
            break
        call.cancel()

    async def approve(self, hold: pb.Hold) -> None:
        """One vote, which is enough."""
        request = pb.ApproveHoldRequest(id=hold.id, digest=hold.digest)
        await self.api.ApproveHold(request, metadata=self._with())

    async def grant(self, hold: pb.Hold, uses: int) -> None:
        """One vote, which is enough, for a grant to the hold's caller."""
        until = Timestamp(seconds=int(time.time()) + GRANTED_FOR)
        request = grants_pb2.CreateGrantRequest(hold=hold.id, digest=hold.digest, uses=uses, until=until)
        await self.grants.CreateGrant(request, metadata=self._with())

    async def approve_all(self, holds: list[pb.Hold]) -> int:
        """Votes for all, 200 at a time; how many were refused."""
        refused = 0
        for start in range(0, len(holds), PAGE):
            shown = [pb.Shown(id=h.id, digest=h.digest) for h in holds[start : start + PAGE]]
            request = pb.DecideHoldsRequest(holds=shown, verdict=pb.VERDICT_APPROVE)
            answer = await self.api.DecideHolds(request, metadata=self._with())
            refused += sum(bool(outcome.code) for outcome in answer.outcomes)
        return refused


@asynccontextmanager
async def reviewer(socket: Path, token: str) -> AsyncIterator[Reviewer]:
    """A connection for the time of the context."""
    options = [("grpc.max_receive_message_length", MOST)]
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        async with asyncio.timeout(STARTS_WITHIN):
            await channel.channel_ready()
        yield Reviewer(HoldServiceStub(channel), GrantServiceStub(channel), token)


async def timed(work: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """How many seconds each of `times` calls took, shortest first."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return sorted(took)


@dataclass(frozen=True, slots=True)
class Decided:
    """In seconds, shortest first: how long each vote took, and from it to the first byte at the model."""

    votes: list[float]
    arrivals: list[float]


async def one_by_one(reviewer: Reviewer, holds: list[pb.Hold], arrivals: Arrivals) -> Decided:
    """Approve each, and wait for it at the model."""
    votes, took = [], []
    for hold in holds:
        number = number_of(await reviewer.get(hold.id))
        began = time.perf_counter()
        await reviewer.approve(hold)
        votes.append(time.perf_counter() - began)
        took.append(await arrival(arrivals, number) - began)
    return Decided(sorted(votes), sorted(took))


async def arrival(arrivals: Arrivals, number: int) -> float:
    """When the request of this number has come; waits for it."""
    async with asyncio.timeout(ARRIVES_WITHIN):
        while number not in arrivals.at:
            await asyncio.sleep(0.001)
    return arrivals.at[number]


def number_of(hold: pb.Hold) -> int:
    """Whose request is held."""
    at = hold.forward.index(MARK.partition("%")[0].encode())
    return int(hold.forward[at + 5 : at + 11])
