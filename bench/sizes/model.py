"""A model server whose answers are as long as `max_tokens` says: `python -m bench.sizes.model PORT`."""

from __future__ import annotations

import asyncio
import re
import sys
from functools import lru_cache
from typing import cast

from bench.http1 import Message, with_length
from bench.sizes.bodies import SMALL, completion

_ASKED = re.compile(rb'"max_tokens": ?(\d+)')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@lru_cache(maxsize=16)
def _answer(size: int) -> bytes:
    return with_length(_HEAD, completion(size))


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._message = Message()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        if self._message.add(data):
            found = _ASKED.search(self._message.received, self._message.head)
            self._message = Message()
            self._transport.write(_answer(int(found[1]) if found else SMALL))


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
