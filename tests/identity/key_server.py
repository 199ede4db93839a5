"""A server of keys and metadata, on loopback, that answers as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class KeyServer:
    """An HTTP server that answers a request with what is in `answers` for its path, else with `answer`.

    It does so once `gate` is open.
    """

    def __init__(self) -> None:
        self.answer = b""
        self.answers: dict[str, bytes] = {}
        self.served = 0
        self.paths: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    def publish(
        self, document: bytes, *, status: str = "200 OK", headers: str = "", path: str | None = None
    ) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(document)}\r\nconnection: close\r\n{headers}\r\n"
        if path is None:
            self.answer = head.encode() + document
        else:
            self.answers[path] = head.encode() + document

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.served += 1
            self.paths.append(head.split(b" ")[1].decode())
            self.arrived.set()
            await self.gate.wait()
            writer.write(self.answers.get(self.paths[-1], self.answer))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked has given up, perhaps before asking
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[KeyServer, str]]:
    """A server and its address, without a slash at its end."""
    server = KeyServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield server, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        server.gate.set()
        listener.close()
        await listener.wait_closed()
