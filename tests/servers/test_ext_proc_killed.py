"""An operator ends what runs: a silent model, an answer in its middle, a request that waits for people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.servers.ext_proc_fakes import (
    ALICE,
    CAROL,
    Play,
    Service,
    answer_body,
    answer_headers,
    request_body,
    request_headers,
    serving,
)

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.live_sessions import LiveSessions
from authz_service.keys.ids import new_id
from authz_service.runtime.killing import follow_kills

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
PIECE = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello!\\n"}}]}\n\n'


@asynccontextmanager
async def killable(folder: Path) -> AsyncIterator[tuple[Service, LiveSessions]]:
    async with asyncio.timeout(20), serving(folder) as service:
        store = cast(LiveSessions, service.store)
        following = asyncio.create_task(follow_kills(store, service.gateway, every=0.005))
        try:
            yield service, store
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def kill(store: LiveSessions, session: str) -> None:
    entry = EntryDraft(Kind.SESSION_KILLED, session, payloads={"operator": b"{}", "reason": b"It loops."})
    assert (await store.kill(session, entry)).status == "killing"


async def until_recorded(service: Service, session: str, kind: Kind) -> None:
    while kind.value not in [entry.kind for entry in await service.store.entries(session)]:
        await asyncio.sleep(0.005)


def said(play: Play) -> object:
    (reply,) = [r.immediate_response for r in play.responses if r.HasField("immediate_response")]
    return json.loads(reply.body)["error"]["code"]


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
