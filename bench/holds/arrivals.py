"""A model server in the bench's own process: it notes when each request's first bytes come, by one clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from bench.http1 import Message, with_length
from bench.plan import Shape
from bench.traffic import SAW_NONE, completion

_MARK = re.compile(rb"case-(\d{6})-")
_ANSWER = with_length(
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", completion(SAW_NONE, Shape.WHOLE)
)


@dataclass(slots=True)
class Arrivals:
    """When each request came, by its number; and how many came twice, which must not be."""

    at: dict[int, float] = field(default_factory=dict)
    repeated: int = 0

    def note(self, number: int, now: float) -> None:
        """One has come."""
        self.repeated += number in self.at
        self.at[number] = now

    def busiest_second(self) -> int:
        """The most that came within a second."""
        times, first, most = sorted(self.at.values()), 0, 0
        for last, at in enumerate(times):
            while at - times[first] > 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most


@asynccontextmanager
async def model(port: int, arrivals: Arrivals) -> AsyncIterator[None]:
    """Serve on loopback within the context."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(arrivals), "127.0.0.1", port, backlog=4096)
    try:
        yield
    finally:
        server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._message = Message()
        self._first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        self._first = self._first or time.perf_counter()
        if self._message.add(data):
            found = _MARK.search(self._message.body)
            if found:
                self._arrivals.note(int(found[1]), self._first)
            self._message, self._first = Message(), 0.0
            self._transport.write(_ANSWER)
