"""An answer that comes while a piece of it is being recorded is read on, and goes on in one piece."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.servers.ext_proc_fakes import serving
from tests.servers.faulty_store import Faulty
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.audit.draft import Kind
from authz_service.core.ports import Store
from authz_service.keys.ids import new_id
from authz_service.runtime.mailbox import Mail
from authz_service.servers.envoy_mail import EnvoyMail

Result = TypeVar("Result")

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
PIECES = [
    b"data: "
    + json.dumps({"choices": [{"index": 0, "delta": {"content": f"No. {number}!\n"}}]}).encode()
    + b"\n\n"
    for number in range(8)
]


class Slow(Faulty):
    """A store whose second call, that of an answer's first piece, waits to be let go."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.may_go = asyncio.Event()

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Late."""
        if len(self.calls) == 2:
            await self.may_go.wait()
        return await work()


def test_what_came_while_a_piece_was_being_recorded_is_recorded_and_goes_on_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Mail] = []
    reading = EnvoyMail.read

    async def noted(mail: EnvoyMail) -> Mail:
        read.append(await reading(mail))
        return read[-1]

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.005)

    async def scenario() -> None:
        session = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path, store=Slow) as service, service.play() as play:
            assert isinstance(service.store, Slow)
            await play.send(request_headers(service.seal(exchange=session)), request_body(ASKED))
            await play.send(answer_headers(kind="text/event-stream"), answer_body(PIECES[0]))
            await until(lambda: len(service.store.calls) == 2)
            await play.send(*map(answer_body, PIECES[1:]), answer_body(b"data: [DONE]\n\n", end=True))
            await until(lambda: len(read) == len(PIECES) + 2)
            service.store.may_go.set()
            await play.to_end()
            assert play.kinds()[2:] == ["response_headers", "response_body", "response_body"]
            assert play.body("response_body") == b"".join(PIECES) + b"data: [DONE]\n\n"
            kinds = await service.kinds(session)
            assert kinds.count(Kind.ANSWER_RELEASED.value) == 2
            assert await service.payloads(session, Kind.ANSWER_RELEASED) == play.body("response_body")

    monkeypatch.setattr(EnvoyMail, "read", noted)
    asyncio.run(scenario())
