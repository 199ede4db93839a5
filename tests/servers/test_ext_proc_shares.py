"""Bodies that are kept in memory: however much one caller sends or is answered, there is room for others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from weakref import ref

import pytest
from tests.servers.exchanges_again import stream
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG, Service, serving
from tests.servers.played_stream import Play
from tests.servers.process_messages import CHAT, answer_body, answer_headers, request_body, request_headers
from tests.servers.test_ext_proc_taken_up import has

from authz_service.core.events import RequestFailed
from authz_service.core.stored_holds import HoldQuery, HoldState
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealed, Sealer
from authz_service.runtime import gateway
from authz_service.runtime.gateway import Reservation
from authz_service.servers.incoming import Incoming, read_request
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest
from authz_service.view.caller import Caller

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
PIECE = 48 * 1024
ROOM = 8


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "LARGEST_BUFFER", ROOM * PIECE)


@asynccontextmanager
async def full(folder: Path, config: str = CONFIG) -> AsyncIterator[tuple[Service, AsyncExitStack]]:
    async with asyncio.timeout(60), serving(folder, config) as service, AsyncExitStack() as stack:
        yield service, stack


async def uploads(service: Service, stack: AsyncExitStack, caller: Caller, *, pieces: int = 1) -> Play:
    """A request that does not end, of which so many pieces have come."""
    play = await stack.enter_async_context(service.play())
    before = service.gateway.buffered
    await play.send(
        request_headers(service.seal(caller)),
        *(request_body(b" " * PIECE, end=False) for _ in range(pieces)),
    )
    while service.gateway.buffered < before + pieces * PIECE:
        await asyncio.sleep(0.005)
    return play


async def refusal(play: Play) -> tuple[int, str, str | None]:
    await play.next()
    reply = play.responses[0].immediate_response
    headers = {one.header.key: one.header.raw_value.decode() for one in reply.headers.set_headers}
    return reply.status.code, json.loads(reply.body)["error"]["code"], headers.get("retry-after")


async def is_let_through(service: Service, caller: Caller) -> bool:
    async with service.play() as play:
        await play.send(request_headers(service.seal(caller)), request_body(ASKED))
        await play.next()
        return play.is_released


def test_one_caller_who_does_not_end_their_bodies_has_half_of_the_room_and_is_told_when_to_come_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with full(tmp_path) as (service, stack):
            for _ in range(ROOM // 2):
                await uploads(service, stack, CAROL)
            async with service.play() as more:
                await more.send(request_headers(service.seal(CAROL)), request_body(b" " * PIECE, end=False))
                assert await refusal(more) == (429, "too_many_bodies", "1")
            assert await is_let_through(service, ALICE)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("caller", "pieces", "told"),
    [
        (CAROL, 2, (429, "too_many_bodies", "1")),
        (ALICE, 3, (413, "too_large", None)),
        (ALICE, 6, (503, "overloaded", None)),
    ],
)
def test_what_was_refused_takes_no_room_from_others_while_its_refusal_waits_for_the_store(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caller: Caller,
    pieces: int,
    told: tuple[int, str, str | None],
) -> None:
    config = CONFIG.replace("body: 1MiB", "body: 128KiB")

    async def scenario() -> None:
        back = asyncio.Event()

        async def hangs(work: Callable[[], Awaitable[object]]) -> object:
            await back.wait()
            return await work()

        async with full(tmp_path, config) as (service, stack):
            monkeypatch.setattr(service.store, "attempt", hangs)
            other = await uploads(service, stack, CAROL)
            await uploads(service, stack, CAROL, pieces=2)
            async with service.play() as refused:
                body = request_body(b" " * pieces * PIECE, end=False)
                await refused.send(request_headers(service.seal(caller)), body)
                while not service.store.under_way:
                    await asyncio.sleep(0.005)
                assert service.gateway.buffered == 3 * PIECE
                await other.send(request_body(b" " * PIECE, end=False))
                while service.gateway.buffered != 4 * PIECE:
                    await asyncio.sleep(0.005)
                back.set()
                assert await refusal(refused) == told
                assert not other.responses

    asyncio.run(scenario())


def test_what_was_read_of_a_body_that_is_refused_is_let_go_with_it(tmp_path: Path) -> None:
    class Sends:
        """Of a body more than may be sent."""

        async def read(self) -> ProcessingRequest:
            return request_body(b" " * PIECE)

    async def scenario() -> None:
        async with full(tmp_path) as (service, _):
            context = Sends()
            sealed = Sealed(new_id("ses"), CAROL, "POST", CHAT, "gateway")
            incoming = Incoming((), {}, True, sealed, "POST", CHAT)
            room = Reservation(service.gateway, CAROL.identity)
            read = await read_request(incoming, cast(Any, context), limit=PIECE - 1, reservation=room)
            assert isinstance(read, RequestFailed)
            has_it, context = ref(context), Sends()
            assert has_it() is None, "the places of its error have the body"

    asyncio.run(scenario())


def test_of_many_who_do_so_each_leaves_as_much_as_they_have(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with full(tmp_path) as (service, stack):
            for number in range(3):
                for _ in range(2):
                    await uploads(service, stack, replace(CAROL, subject=f"carol-{number}"))
            async with AsyncExitStack() as later:
                more = await uploads(service, later, CAROL)
                assert await is_let_through(service, ALICE)
                assert not more.responses

    asyncio.run(scenario())


def test_the_only_body_of_a_caller_may_be_as_large_as_bodies_may_be_while_there_is_room(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with full(tmp_path) as (service, stack):
            large = await uploads(service, stack, CAROL, pieces=ROOM)
            async with service.play() as play:
                await play.send(request_headers(service.seal(ALICE)), request_body(ASKED))
                assert await refusal(play) == (503, "overloaded", None)
            assert not large.responses

    asyncio.run(scenario())


def test_what_was_held_is_taken_up_whatever_else_its_caller_sends(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = new_id("ses")
        async with full(tmp_path) as (service, stack):
            async with stream(service, held):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            seal = service.seal(CAROL, exchange=held)
            for _ in range(ROOM // 2):
                await uploads(service, stack, CAROL)
            service.gateway.started_at += 3600
            service.gateway.sealer = Sealer(bytes(range(32)))
            async with stream(service, held, seal=seal) as again:
                kinds = await has(service, held, "hold.attached", again)
                assert "hold.attached" in kinds, again.responses

    asyncio.run(scenario())


def test_in_a_process_that_ran_already_it_counts_like_any_other_and_its_hold_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = new_id("ses")
        async with full(tmp_path) as (service, _):
            async with stream(service, held):
                await has(service, held, "hold.opened")
            await service.is_let_go(held)
            seal = service.seal(CAROL, exchange=held)
            async with AsyncExitStack() as others:
                for _ in range(ROOM // 2):
                    await uploads(service, others, CAROL)
                service.gateway.sealer = Sealer(bytes(range(32)))
                async with service.play() as again:
                    body = request_body(b" " * PIECE, end=False)
                    await again.send(request_headers(seal), body)
                    assert await refusal(again) == (429, "too_many_bodies", "1")
            (hold,) = (await service.gateway.store.holds(HoldQuery())).items
            assert hold.state is HoldState.PENDING

    asyncio.run(scenario())


@pytest.mark.parametrize("originals", [False, True])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_answer_of_which_nothing_has_gone_on_counts_until_it_does(
    tmp_path: Path, kind: str, originals: bool
) -> None:
    config = CONFIG.replace("version: 1\n", "version: 1\nrecord: {keep: {originals: 1d}}\n")

    async def scenario() -> None:
        async with full(tmp_path, config if originals else CONFIG) as (service, stack):
            play = await stack.enter_async_context(service.play())
            await play.send(request_headers(service.seal(ALICE)), request_body(ASKED))
            await play.next()
            sent, is_whole = service.gateway.buffered, kind == "application/json"
            said = {"role": "assistant", "content": "Some words. " * 4096}
            text = json.dumps({"choices": [{"index": 0, "message" if is_whole else "delta": said}]}).encode()
            body = text if is_whole else b"data: " + text + b"\n\n"
            await play.send(answer_headers(kind=kind), answer_body(body[:-3]))
            expected = sent + (len(body) - 3) * (2 if originals else 1)
            while service.gateway.buffered != expected:
                await asyncio.sleep(0.005)
            await play.send(answer_body(body[-3:], end=is_whole))
            while service.gateway.buffered > sent:
                await asyncio.sleep(0.005)

    asyncio.run(scenario())
