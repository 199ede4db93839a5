"""A model server that costs next to nothing: `python -m bench.model PORT`, an answer for each shape."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from bench.http1 import LAST_CHUNK, Message, chunk, with_length
from bench.plan import Shape
from bench.traffic import (
    DELTA_SECONDS,
    FIRST_DELTA_SECONDS,
    GIVEAWAYS,
    SAW_NONE,
    SAW_SECRET,
    completion,
    events,
)

_MODEL = re.compile(rb'"model": ?"(\w+)"')
_HEAD = b"HTTP/1.1 200 OK\r\nserver: bench\r\ndate: Mon, 02 Nov 2026 10:00:00 GMT\r\n"
_JSON = _HEAD + b"content-type: application/json\r\n"
_SSE = (
    _HEAD
    + b"content-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Answers:
    """Every answer, made once, of a model that saw this of the prompt."""

    def __init__(self, fingerprint: str) -> None:
        self.whole = with_length(_JSON, completion(fingerprint, Shape.WHOLE))
        self.large = with_length(_JSON, completion(fingerprint, Shape.LARGE))
        self.streamed = _pieces(events(fingerprint))


class Connection(asyncio.Protocol):
    """One connection of Envoy's, which sends one request after another."""

    def __init__(self, masked: Answers, clear: Answers) -> None:
        self._masked = masked
        self._clear = clear
        self._message = Message()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        if self._message.add(data):
            request, self._message = self._message.body, Message()
            self._answer(request)

    def _answer(self, request: bytearray) -> None:
        answers = self._clear if any(part in request for part in GIVEAWAYS) else self._masked
        match _shape(request):
            case Shape.WHOLE:
                self._transport.write(answers.whole)
            case Shape.LARGE:
                self._transport.write(answers.large)
            case Shape.STREAMED:
                self._transport.write(_SSE)
                self._next(iter(answers.streamed), self._loop.call_soon)
            case Shape.PACED:
                self._transport.write(_SSE)
                later = iter(answers.streamed)
                self._loop.call_later(FIRST_DELTA_SECONDS, self._next, later, self._in_a_moment)

    def _in_a_moment(self, callback: Callable[..., None], *arguments: object) -> None:
        self._loop.call_later(DELTA_SECONDS, callback, *arguments)

    def _next(self, pieces: Iterator[bytes], schedule: Callable[..., object]) -> None:
        """Write a token by itself, as model servers do, and come back for the next one."""
        piece = next(pieces, None)
        if piece is not None and not self._transport.is_closing():
            self._transport.write(piece)
            schedule(self._next, pieces, schedule)


def _shape(request: bytearray) -> Shape:
    """By the model's name; gateways differ in the spaces that they write."""
    found = _MODEL.search(request)
    return Shape(found[1].decode()) if found else Shape.WHOLE


def _pieces(stream: Sequence[bytes]) -> list[bytes]:
    """What is written at once: the role with the first token, a token each, the rest of the stream."""
    role, first, *tokens = [chunk(event) for event in stream]
    return [role + first, *tokens[:-2], tokens[-2] + tokens[-1] + LAST_CHUNK]


async def serve(port: int) -> None:
    """Serve on loopback until cancelled."""
    masked, clear = Answers(SAW_NONE), Answers(SAW_SECRET)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(masked, clear), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
