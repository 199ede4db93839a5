"""Envoy sends a held exchange again to the same process: the stream that has it now says how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.ext_proc_fakes import CAROL, Service, serving
from tests.servers.faulty_store import Faulty
from tests.servers.played_stream import Play
from tests.servers.process_messages import request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.core.sessions import TakenUp
from authz_service.errors import Unavailable
from authz_service.keys.ids import new_id

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
HELD = ["request.received", "request.decided", "hold.opened"]


class Again(Faulty):
    """A store whose answers to a taking-up come late, or never."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.taken = asyncio.Event()
        self.answers: Callable[[], Awaitable[None]] | None = None

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        """Committed, and then what a test has it do."""
        found = await self._store.take_up(session_id, stream)
        self.taken.set()
        if self.answers is not None:
            await self.answers()
        return found


async def lost() -> None:
    raise Unavailable("the store is away", code="store_unavailable")


async def until_recorded(service: Service, session: str, kind: Kind) -> None:
    """Without recording what was left to be recorded."""
    while kind.value not in [entry.kind for entry in await service.store.entries(session)]:
        await asyncio.sleep(0.005)


async def ask(service: Service, play: Play, session: str) -> None:
    await play.send(request_headers(service.seal(CAROL, exchange=session)), request_body(ASKED))


async def hold_and_leave(service: Service, session: str) -> None:
    """The end of this stream is to be recorded, and is not yet."""
    async with service.play() as first:
        await ask(service, first, session)
        await until_recorded(service, session, Kind.HOLD_OPENED)
    await service.is_let_go(session)
    assert service.gateway.recorder.backlog == 1


def test_what_the_stream_before_had_left_to_record_does_not_end_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service:
            session = new_id("ses")
            await hold_and_leave(service, session)
            async with service.play() as second:
                await ask(service, second, session)
                await until_recorded(service, session, Kind.EXCHANGE_RESUMED)
                assert service.gateway.recorder.backlog == 1
                await service.gateway.recorder.drain()
                found = await service.gateway.store.session(session)
                assert found is not None
                assert found.ended_at is None
            kinds = await service.kinds(session)
            assert kinds.count("exchange.ended") == 1
            assert kinds[: len(HELD) + 1] == [*HELD, "exchange.resumed"]
            assert kinds[-1] == "exchange.ended"

    asyncio.run(scenario())


@pytest.mark.parametrize("is_lost", [False, True])
def test_one_that_breaks_while_it_is_taken_up_ends_all_the_same(tmp_path: Path, *, is_lost: bool) -> None:
    """Its caller leaves before the store has answered, or the answer is lost: it was taken up in both."""

    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path, store=Again) as service:
            assert isinstance(service.store, Again)
            session, never = new_id("ses"), asyncio.Event()

            async def silent() -> None:
                await never.wait()

            await hold_and_leave(service, session)
            service.store.answers = lost if is_lost else silent
            async with service.play() as second:
                await ask(service, second, session)
                await service.store.taken.wait()
                if is_lost:
                    assert await second.next() is not None
                    assert second.kinds() == ["immediate_response"]
            await service.is_let_go(session)
            kinds = await service.kinds(session)
            ending = ["request.refused", "exchange.ended"] if is_lost else ["exchange.ended"]
            assert kinds == [*HELD, "exchange.resumed", *ending]

    asyncio.run(scenario())
