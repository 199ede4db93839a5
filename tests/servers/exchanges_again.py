"""An exchange that Envoy sends, and sends again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.servers.ext_proc_fakes import CAROL, Service
from tests.servers.played_stream import Play
from tests.servers.process_messages import request_body, request_headers

from authz_service.view.caller import Caller


def asked(text: str) -> bytes:
    return json.dumps({"model": "llama", "messages": [{"role": "user", "content": text}]}).encode()


@asynccontextmanager
async def stream(
    service: Service, exchange: str, caller: Caller = CAROL, *, seal: str = ""
) -> AsyncIterator[Play]:
    """One of a request with the exchange's name as its text."""
    async with service.play() as play:
        await play.send(
            request_headers(seal or service.seal(caller, exchange=exchange)), request_body(asked(exchange))
        )
        yield play
