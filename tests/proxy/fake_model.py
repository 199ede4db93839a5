"""A model server that remembers the requests that reached it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass


@dataclass
class Arrived:
    """A request as the model's server got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name]


class FakeModel:
    """A model's HTTP server: answers each request the same, chunk by chunk."""

    def __init__(self) -> None:
        self.requests: list[Arrived] = []
        self.headers = b"content-type: application/json\r\nserver: banner\r\nset-cookie: a=b\r\n"
        self.chunks: list[bytes] = [b'{"answer": 42}']
        self.ends = True
        self.gone = threading.Event()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.requests.append(await _arrived(reader))
                writer.write(b"HTTP/1.1 200 OK\r\n" + self.headers + b"transfer-encoding: chunked\r\n\r\n")
                for chunk in self.chunks:
                    writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    await writer.drain()
                if self.ends:
                    writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


async def _arrived(reader: asyncio.StreamReader) -> Arrived:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (item.partition(":") for item in rest)]
    arrived = Arrived(line, headers, b"")
    if arrived.header("transfer-encoding"):
        while size := int(await reader.readline(), 16):
            arrived.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif length := arrived.header("content-length"):
        arrived.body = await reader.readexactly(int(length[0]))
    return arrived
