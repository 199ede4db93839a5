"""Many exchanges at once: callers leave at any moment, and the store is slow, away, or loses answers."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from tests.servers.ext_proc_fakes import ALICE, CAROL, Service, serving
from tests.servers.faulty_store import Faulty
from tests.servers.played_stream import Play
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.core.ballots import Ballot
from authz_service.core.holds import StageRef, Verdict
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState
from authz_service.errors import AuthzError, Unavailable
from authz_service.keys.ids import new_id

Result = TypeVar("Result")

CROWD = 60
SAID = ("One ", "two bob@exam", "ple.com three ", "AKIAIOSFODNN7EXAMPLE ", "four ")


class Unreliable(Faulty):
    """A store whose calls take their time, and fail before or after the commit."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        super().__init__(store)
        self.chance = chance
        self.is_well = False

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Late, and not always."""
        if self.is_well:
            return await work()
        await asyncio.sleep(self.chance.random() * 0.01)
        if self.chance.random() < 0.05:
            raise Unavailable("the store is away", code="store_unavailable")
        result = await work()
        if self.chance.random() < 0.05:
            raise Unavailable("the store's answer was lost", code="store_unavailable")
        return result


async def exchange(service: Service, play: Play, session: str, chance: random.Random) -> None:
    """One of a few requests, and a model that answers it."""
    caller = chance.choice([ALICE, CAROL, CAROL])
    text = f"Ask {chance.randrange(4)} for a@b.co"
    asked = json.dumps({"model": "llama", "messages": [{"role": "user", "content": text}]}).encode()
    await play.send(request_headers(service.seal(caller, exchange=session)))
    await play.send(request_body(asked[:20], end=False), request_body(asked[20:]))
    first = await play.next()
    if first is not None and first.HasField("request_headers"):
        await play.send(answer_headers(kind="text/event-stream"))
        for piece in SAID[: chance.randrange(1, len(SAID) + 1)]:
            event = json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]})
            await play.send(answer_body(b"data: " + event.encode() + b"\n\n"))
        await play.send(answer_body(b"data: [DONE]\n\n", end=True))
    await play.to_end()


async def attempt(service: Service, session: str, chance: random.Random) -> Play:
    async with service.play() as play:
        with suppress(TimeoutError):  # the caller leaves: a few soon, the others when they have waited long
            async with asyncio.timeout(chance.choice([chance.random() * 0.2, 10, 10])):
                await exchange(service, play, session, chance)
        return play


async def vote_on_everything(service: Service, chance: random.Random) -> None:
    while True:
        holds = await service.gateway.store.holds(HoldQuery(states=(HoldState.PENDING,)))
        for hold in holds.items:
            verdict = chance.choice([Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT])
            stages = (StageRef("security", 0),)
            ballot = Ballot(hold.id, ("https://id", "rita"), "rita", verdict, hold.digest, stages, "as I say")
            with suppress(AuthzError):
                await service.gateway.store.vote(ballot, HoldLimits(rejection_answers=0.01))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_gets_nothing_unrecorded_or_unmasked_and_leaves_nothing_behind(
    tmp_path: Path, seed: int
) -> None:
    async def scenario() -> None:
        chance = random.Random(seed)
        async with serving(tmp_path, store=lambda store: Unreliable(store, chance)) as service:
            voting = asyncio.create_task(vote_on_everything(service, chance))
            sessions = [new_id("ses") for _ in range(CROWD)]
            plays = await asyncio.gather(*(attempt(service, session, chance) for session in sessions))
            voting.cancel()
            for session in sessions:
                await service.is_let_go(session)
            assert isinstance(service.store, Unreliable)
            service.store.is_well = True
            assert (service.gateway.buffered, service.gateway.buffered_by) == (0, {})
            assert service.gateway.waiting.total == 0
            for play, session in zip(plays, sessions, strict=True):
                await check(service, play, session)

    asyncio.run(scenario())


async def check(service: Service, play: Play, session: str) -> None:
    sent, told = play.body("request_body"), play.body("response_body").partition(b'data: {"error"')[0]
    assert (await service.payloads(session, Kind.REQUEST_RELEASED)).startswith(sent)
    assert (await service.payloads(session, Kind.ANSWER_RELEASED)).startswith(told)
    for secret in (b"a@b.co", b"example.com", b"AKIA"):
        assert secret not in sent + told
    assert play.status is not grpc.StatusCode.OK or play.is_complete
    kinds = await service.kinds(session)
    assert kinds.count(Kind.REQUEST_RECEIVED.value) == bool(kinds)
