"""An operator ends what runs: a silent model, an answer in its middle, a request that waits for people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG, Service, serving
from tests.servers.faulty_store import Faulty
from tests.servers.killed_exchanges import kill, said
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.events import Killed
from authz_service.core.live_sessions import LiveSessions, ToEnd
from authz_service.keys.ids import new_id
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.killing import follow_kills

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello!\\n"}}]}\n\n'

LIMITED = CONFIG.replace(
    "limits: {body: 1MiB, depth: 64}", "limits: {body: 1MiB, depth: 64, callers: [{requests_per_minute: 9}]}"
)


class KilledAtRelease(Faulty):
    """An operator's order is on record right before each release."""

    async def append(self, *drafts: EntryDraft) -> None:
        """Ordered first."""
        for draft in drafts:
            if draft.kind is Kind.REQUEST_RELEASED:
                await kill(cast(LiveSessions, self), str(draft.session))
        await super().append(*drafts)


@asynccontextmanager
async def killable(folder: Path) -> AsyncIterator[tuple[Service, LiveSessions]]:
    async with asyncio.timeout(60), serving(folder) as service:
        store = cast(LiveSessions, service.store)
        async with following(service, store):
            yield service, store


@asynccontextmanager
async def following(service: Service, store: LiveSessions) -> AsyncIterator[None]:
    task = asyncio.create_task(follow_kills(store, service.gateway, every=0.005))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_recorded(service: Service, session: str, kind: Kind) -> None:
    while kind.value not in [entry.kind for entry in await service.store.entries(session)]:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("has_headers", [False, True])
def test_a_model_that_is_silent_is_ended_with_an_error_for_its_caller(
    tmp_path: Path, has_headers: bool
) -> None:
    async def scenario() -> None:
        async with killable(tmp_path) as (service, store), service.play() as play:
            session = new_id("ses")
            await play.send(request_headers(service.seal(ALICE, exchange=session)), request_body(ASKED))
            if has_headers:
                await play.send(answer_headers(kind="text/event-stream"))
            await until_recorded(service, session, Kind.REQUEST_RELEASED)
            await kill(store, session)
            while await play.next() is not None:
                if "immediate_response" in play.kinds():
                    await play.leave()
            assert said(play) == "ended_by_operator"
            kinds = await service.kinds(session)
            assert kinds[-3:] == ["session.killed", "answer.refused", "exchange.ended"]
            await service.is_let_go(session)
            assert service.gateway.running == {}

    asyncio.run(scenario())


def test_an_answer_is_cut_off_in_its_middle_with_an_error_of_its_kind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with killable(tmp_path) as (service, store), service.play() as play:
            session = new_id("ses")
            await play.send(request_headers(service.seal(ALICE, exchange=session)), request_body(ASKED))
            await play.send(answer_headers(kind="text/event-stream"), answer_body(PIECE))
            await until_recorded(service, session, Kind.ANSWER_RELEASED)
            await kill(store, session)
            while b"ended_by_operator" not in play.body("response_body"):
                assert await play.next() is not None
            await play.leave()
            await play.to_end()
            body = play.body("response_body")
            assert body.startswith(PIECE[:40])
            assert play.is_complete
            kinds = await service.kinds(session)
            assert kinds[-3:] == ["session.killed", "answer.refused", "exchange.ended"]

    asyncio.run(scenario())


def test_one_that_waits_for_people_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with killable(tmp_path) as (service, store), service.play() as play:
            session = new_id("ses")
            await play.send(request_headers(service.seal(CAROL, exchange=session)), request_body(ASKED))
            await until_recorded(service, session, Kind.HOLD_OPENED)
            await kill(store, session)
            await play.to_end()
            assert said(play) == "ended_by_operator"
            assert not play.is_released
            kinds = await service.kinds(session)
            assert kinds[-4:] == ["session.killed", "hold.killed", "request.refused", "exchange.ended"]

    asyncio.run(scenario())


def test_one_that_was_to_end_before_it_was_released_is_ended_then(tmp_path: Path) -> None:
    """Where limits count a request it is on record, and can be ended, before it is released."""

    async def scenario() -> None:
        serves = serving(tmp_path, LIMITED, store=KilledAtRelease)
        async with asyncio.timeout(60), serves as service, service.play() as play:
            session = new_id("ses")
            await play.send(request_headers(service.seal(ALICE, exchange=session)), request_body(ASKED))
            await until_recorded(service, session, Kind.REQUEST_RELEASED)
            async with following(service, cast(LiveSessions, service.store)):
                while await play.next() is not None:
                    if "immediate_response" in play.kinds():
                        await play.leave()
            assert said(play) == "ended_by_operator"
            kinds = await service.kinds(session)
            assert kinds.index("session.killed") < kinds.index("request.released")
            assert kinds[-2:] == ["answer.refused", "exchange.ended"]

    asyncio.run(scenario())


def test_orders_are_followed_past_whatever_goes_wrong_with_one() -> None:
    class Broken:
        asked = 0

        async def to_end(self, running: frozenset[str]) -> list[ToEnd]:
            self.asked += 1
            if self.asked < 3:
                raise ValueError("a secret")
            return [ToEnd("s1", "It loops.")]

    async def whole() -> None:
        told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        gateway = SimpleNamespace(running={"s1": told.set_result})
        with capture_logs() as logs:
            task = asyncio.create_task(
                follow_kills(cast(LiveSessions, Broken()), cast(Gateway, gateway), every=0.001)
            )
            async with asyncio.timeout(60):
                assert await told == Killed("It loops.")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [(line["event"], line["error"]) for line in logs[:1]] == [
            ("kills.follow_failed", "ValueError")
        ]

    asyncio.run(whole())
