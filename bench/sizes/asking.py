"""Requests one after another or many at once, each with the time until its answer was whole."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bench.http1 import Message, with_length

SECONDS = 120.0


class NotAnswered(RuntimeError):
    """Another status than 200, or none; the message has the beginning of what came."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the gateway on one new connection for each request, as the first request of a client does."""

    port: int
    token: str

    async def ask(self, body: bytes) -> float:
        """Seconds until the answer had come; raises `NotAnswered`."""
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\n"
            f"host: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.token}\r\n"
            "content-type: application/json\r\n"
            "user-agent: bench/1\r\n"
        )
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
            try:
                began = time.perf_counter()
                writer.write(with_length(head.encode(), body))
                await _answer(reader)
                return time.perf_counter() - began
            finally:
                writer.close()

    async def one_after_another(self, body: bytes, times: int) -> list[float]:
        """So many times, in order of their length."""
        return sorted([await self.ask(body) for _ in range(times)])


async def _answer(reader: asyncio.StreamReader) -> None:
    message = Message()
    while data := await reader.read(1 << 20):
        if message.add(data):
            break
    if not message.received.startswith(b"HTTP/1.1 200"):
        raise NotAnswered(bytes(message.received[:300]).decode("ascii", "replace") or "nothing came")
