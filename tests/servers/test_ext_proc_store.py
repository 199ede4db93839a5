"""A store that fails at any step: what was not committed has not been let through, in either direction."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
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
from authz_service.errors import Unavailable
from authz_service.keys.ids import new_id
from authz_service.runtime.openings import Openings
from authz_service.view.caller import Caller

Result = TypeVar("Result")

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
MOST_CALLS = 12
"""More than the longest of these exchanges makes."""

Flow = Callable[[Service, Play, str], Awaitable[None]]


def said(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


async def answered(play: Play) -> None:
    """The model's answer in pieces, the next when the last has come through."""
    await play.send(answer_headers(kind="text/event-stream"))
    for text in ("One. ", "Two. ", "Three. "):
        await play.send(answer_body(said(text)))
        if await play.next() is None:
            return
    await play.send(answer_body(b"data: [DONE]\n\n", end=True))
    await play.to_end()


async def allowed(service: Service, play: Play, session: str) -> None:
    """A request that a rule allows."""
    await play.send(request_headers(service.seal(exchange=session)), request_body(ASKED))
    if (first := await play.next()) is not None and first.HasField("request_headers"):
        await answered(play)


async def refused(service: Service, play: Play, session: str) -> None:
    """A request that no rule allows."""
    nobody = Caller("https://id", "nobody", 4e9)
    await play.send(request_headers(service.seal(nobody, exchange=session)), request_body(ASKED))
    await play.to_end()


async def denied_midway(service: Service, play: Play, session: str) -> None:
    """An answer that begins well and then says what it must not."""
    await play.send(request_headers(service.seal(exchange=session)), request_body(ASKED))
    if (first := await play.next()) is not None and first.HasField("request_headers"):
        await play.send(answer_headers(kind="text/event-stream"), answer_body(said("One. ")))
        await play.next()
        await play.send(answer_body(said("AKIAIOSFODNN7EXAMPLE is one. ")), answer_body(said("Three.")))
        await play.to_end()


async def held(service: Service, play: Play, session: str) -> None:
    """A request that waits, is approved and answered."""
    await play.send(request_headers(service.seal(CAROL, exchange=session)), request_body(ASKED))
    reading = asyncio.create_task(play.next())
    while not reading.done():
        pending = (await service.gateway.store.holds(HoldQuery(states=(HoldState.PENDING,)))).items
        if pending and service.gateway.waiting.total:
            ballot = Ballot(
                hold=pending[0].id,
                voter=("https://id", "rita"),
                name="rita",
                verdict=Verdict.APPROVE,
                digest=pending[0].digest,
                may_vote_in=(StageRef("security", 0),),
            )
            await service.gateway.store.vote(ballot, HoldLimits())
            break
        await asyncio.sleep(0.005)
    first = await reading
    if first is not None and first.HasField("request_headers"):
        await answered(play)


FLOWS: list[Flow] = [allowed, refused, denied_midway, held]


@pytest.mark.parametrize("is_lost", [False, True], ids=["not committed", "committed and not told"])
@pytest.mark.parametrize("flow", FLOWS)
def test_nothing_passes_that_is_not_committed_whichever_call_of_the_store_fails(
    tmp_path: Path, flow: Flow, is_lost: bool
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            for number in range(1, MOST_CALLS):
                service.store.calls, service.store.fail_at = [], number
                service.store.is_lost = is_lost
                play, session = await once(service, flow)
                if len(service.store.calls) < number:
                    assert play.status is grpc.StatusCode.OK
                    return
                await check(service, play, session)
            raise AssertionError("the exchange made more calls than were tried")

    asyncio.run(scenario())


async def once(service: Service, flow: Flow) -> tuple[Play, str]:
    session = new_id("ses")
    async with asyncio.timeout(60), service.play() as play:
        await flow(service, play, session)
        await play.leave()
        await play.to_end()
    await service.is_let_go(session)
    service.store.fail_at = 0
    return play, session


async def check(service: Service, play: Play, session: str) -> None:
    sent = await service.payloads(session, Kind.REQUEST_RELEASED)
    told = await service.payloads(session, Kind.ANSWER_RELEASED)
    assert sent == play.body("request_body") or (sent, play.body("request_body")) == (ASKED, b"")
    passed = play.body("response_body").partition(b'data: {"error"')[0]
    assert told.startswith(passed)
    assert play.status is not grpc.StatusCode.OK or play.is_complete
    entries = await service.entries(session)
    assert [entry.kind for entry in entries].count(Kind.REQUEST_RECEIVED.value) == 1
    assert entries[-1].kind == Kind.EXCHANGE_ENDED.value


def test_an_approval_is_used_once_however_its_use_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            service.store.is_lost = True
            released = 0
            for number in range(1, 5):
                service.store.calls, service.store.fail_at = [], number
                play, _ = await once(service, held)
                released += play.is_released
            holds = (await service.gateway.store.holds(HoldQuery())).items
            assert released <= len([hold for hold in holds if hold.released_to])
            assert {hold.digest for hold in holds} == {hashlib.sha256(ASKED).hexdigest()}

    asyncio.run(scenario())


def test_the_flows_are_what_they_say(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            ends = {}
            for flow in FLOWS:
                _, session = await once(service, flow)
                ends[flow.__name__] = (await service.entries(session))[-1].data["outcome"]
            assert ends == {
                "allowed": "completed",
                "refused": "denied",
                "denied_midway": "answer_denied",
                "held": "completed",
            }

    asyncio.run(scenario())


class Gated(Faulty):
    """A store that waits for a word before it does anything, and may fail then."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.go_on = asyncio.Event()
        self.is_away = False

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Wait, then do the work or fail."""
        await self.go_on.wait()
        if self.is_away:
            self.is_away = False
            raise Unavailable("the store is away", code="store_unavailable")
        return await work()


@pytest.mark.parametrize(
    ("caller", "is_away", "recorded"),
    [
        (ALICE, False, "request.received request.decided request.released exchange.ended"),
        (ALICE, True, "request.received request.refused exchange.ended"),
        (CAROL, False, "request.received request.decided hold.opened exchange.ended"),
        (CAROL, True, "request.received request.refused exchange.ended"),
    ],
)
def test_who_leaves_while_the_request_is_being_recorded_is_on_record_whatever_becomes_of_it(
    tmp_path: Path, caller: Caller, is_away: bool, recorded: str
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path, store=Gated) as service:
            assert isinstance(service.store, Gated)
            service.store.is_away = is_away
            session = new_id("ses")
            async with service.play() as play:
                await play.send(request_headers(service.seal(caller, exchange=session)), request_body(ASKED))
                while not service.store.under_way:
                    await asyncio.sleep(0.005)
            while session in service.gateway.live:
                await asyncio.sleep(0.005)
            service.store.go_on.set()
            await service.is_let_go(session)
            assert " ".join(await service.kinds(session)) == recorded
            assert not play.responses

    asyncio.run(scenario())


def test_who_waits_to_be_held_is_refused_with_the_first_who_finds_the_store_away(tmp_path: Path) -> None:
    """Or of a burst of thousands the last would hear of it after minutes."""

    async def scenario() -> None:
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            service = await stack.enter_async_context(serving(tmp_path, store=Gated))
            assert isinstance(service.store, Gated)
            service.store.is_away = True
            service.gateway.openings = Openings(1)
            plays = [await stack.enter_async_context(service.play()) for _ in range(5)]
            for play in plays:
                await play.send(request_headers(service.seal(CAROL)), request_body(ASKED))
            while len(service.gateway.openings._waiting) < len(plays) - 1:
                await asyncio.sleep(0.005)
            service.store.go_on.set()
            for play in plays:
                await play.next()
                assert play.responses[0].immediate_response.status.code == 503
                assert b"store_unavailable" in play.responses[0].immediate_response.body
            assert service.store.calls.count("open_hold") == 1

    asyncio.run(scenario())
