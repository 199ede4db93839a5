"""Callers who ask what they used: each has one question at a time, so that nobody keeps others waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
from tests.servers.ext_proc_fakes import ALICE, CAROL, Service, serving
from tests.servers.process_messages import request_headers

from authz_service.servers.own_usage import OWN_USAGE
from authz_service.servers.wire.ext_proc_pb2 import ImmediateResponse
from authz_service.view.caller import Caller


async def ask(service: Service, caller: Caller) -> ImmediateResponse:
    """The answer to a question of `caller`."""
    async with service.play() as play:
        seal = service.seal(caller, method="GET", path=OWN_USAGE)
        await play.send(request_headers(seal, method="GET", path=OWN_USAGE, end=True))
        answer = await play.next()
        assert answer is not None
        return answer.immediate_response


def headers_of(answer: ImmediateResponse) -> dict[str, str]:
    return {each.header.key: each.header.raw_value.decode() for each in answer.headers.set_headers}


async def are_asking(service: Service, number: int) -> None:
    """Wait until so many callers' questions are under way."""
    async with asyncio.timeout(60):
        while len(service.gateway.usage_asking) != number:
            await asyncio.sleep(0.005)


def test_a_second_question_of_the_same_caller_is_refused_while_others_wait_their_turn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            async with service.gateway.usage_asked:  # somebody's long report
                first = asyncio.create_task(ask(service, ALICE))
                await are_asking(service, 1)
                second = await ask(service, ALICE)
                other = asyncio.create_task(ask(service, CAROL))
                await are_asking(service, 2)
            assert second.status.code == 429
            assert orjson.loads(second.body)["error"]["code"] == "already_asked"
            assert headers_of(second)["retry-after"] == "1"
            for answer in (await first, await other, await ask(service, ALICE)):
                assert answer.status.code == 200
                assert headers_of(answer)["content-type"] == "application/json"
                assert "retry-after" not in headers_of(answer)

    asyncio.run(scenario())


def test_who_leaves_before_the_answer_may_ask_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            async with service.gateway.usage_asked:
                asking = asyncio.create_task(ask(service, ALICE))
                await are_asking(service, 1)
                asking.cancel()
                await are_asking(service, 0)
            assert (await ask(service, ALICE)).status.code == 200

    asyncio.run(scenario())
