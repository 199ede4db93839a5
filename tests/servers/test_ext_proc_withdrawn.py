"""A token that was withdrawn while its request was held: the approval stays, for one that is good."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from tests.servers.ext_proc_fakes import CAROL, CONFIG, Service, serving
from tests.servers.played_stream import Play
from tests.servers.process_messages import request_body, request_headers
from tests.servers.withdrawn_exchanges import approve, holds, waited_for

from authz_service.core.stored_holds import HoldState
from authz_service.errors import AuthzError, Unauthenticated, Unavailable
from authz_service.keys.ids import new_id
from authz_service.servers.ext_proc import FRESH_SECONDS
from authz_service.view.caller import Caller

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
SNAPSHOT = CONFIG.replace("security: {stages", "security: {snapshot: true, stages")
WITHDRAWN = Unauthenticated("the token was withdrawn", code="token_revoked")


async def ask(service: Service, play: Play, session: str, caller: Caller = CAROL) -> None:
    await play.send(request_headers(service.seal(caller, exchange=session)), request_body(ASKED))


@pytest.mark.parametrize("config", [CONFIG, SNAPSHOT], ids=["", "snapshot"])
@pytest.mark.parametrize(
    ("error", "status"), [(WITHDRAWN, 401), (Unavailable("the keys are away"), 503)], ids=["gone", "unknown"]
)
def test_a_withdrawn_token_releases_nothing_and_leaves_the_approval(
    tmp_path: Path, config: str, error: AuthzError, status: int
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path, config) as service:
            rechecked: list[Caller] = []

            async def refuse(caller: Caller) -> None:
                rechecked.append(caller)
                raise error

            session = new_id("ses")
            async with service.play() as play:
                await ask(service, play, session)
                hold = await waited_for(service)
                service.gateway.recheck = refuse
                await approve(service, hold)
                (refusal,) = await play.to_end()
            assert refusal.immediate_response.status.code == status
            assert error.code.encode() in refusal.immediate_response.body
            assert [caller.subject for caller in rechecked] == [CAROL.subject]
            kinds = await service.kinds(session)
            assert "request.refused" in kinds
            assert "request.released" not in kinds
            (hold,) = await holds(service)
            assert hold.state is HoldState.APPROVED

            service.gateway.recheck = rechecked_well
            async with service.play() as play:
                await ask(service, play, new_id("ses"))
                first = await play.next()
                assert first is not None
                assert first.HasField("request_headers")
            (hold,) = await holds(service)
            assert hold.state is HoldState.RELEASED

    asyncio.run(scenario())


async def rechecked_well(caller: Caller) -> None:
    assert caller.subject == CAROL.subject


def test_what_did_not_wait_is_not_checked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:

            async def refuse(_caller: Caller) -> None:
                raise WITHDRAWN

            service.gateway.recheck = refuse
            now = time.time()
            service.gateway.clock = lambda: now  # what took longer than a second to arrive is checked again
            await ask(service, play, new_id("ses"), Caller("https://id", "alice", 4e9, ("staff",)))
            first = await play.next()
            assert first is not None
            assert first.HasField("request_headers")

    asyncio.run(scenario())


def test_a_token_that_is_withdrawn_while_its_body_arrives_reaches_no_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path) as service, service.play() as play:

            async def refuse(_caller: Caller) -> None:
                raise WITHDRAWN

            session = new_id("ses")
            await play.send(
                request_headers(service.seal(exchange=session)), request_body(ASKED[:9], end=False)
            )
            async with asyncio.timeout(60):
                while session not in service.gateway.live:
                    await asyncio.sleep(0.005)
            service.gateway.recheck = refuse
            service.gateway.clock = lambda: time.time() + FRESH_SECONDS
            await play.send(request_body(ASKED[9:]))
            (refusal,) = await play.to_end()
            assert refusal.immediate_response.status.code == 401
            assert b"token_revoked" in refusal.immediate_response.body
            kinds = await service.kinds(session)
            assert "request.refused" in kinds
            assert "request.released" not in kinds

    asyncio.run(scenario())
