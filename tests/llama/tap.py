"""A tap on the way to a model server: it passes every byte on, and keeps what both sides said."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import h11


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer; the bodies without transfer coding, header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes


@dataclass(slots=True)
class Wire:
    """The bytes of one connection, in both directions."""

    there: bytearray = field(default_factory=bytearray)
    back: bytearray = field(default_factory=bytearray)


class Tap(socketserver.ThreadingTCPServer):
    """Listens on a port of its own for as long as the `with` block lasts, and connects to `port`."""

    def __init__(self, port: int) -> None:
        self.model = ("127.0.0.1", port)
        self.wires: list[Wire] = []
        super().__init__(("127.0.0.1", 0), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="tap")

    @property
    def url(self) -> str:
        """Its base, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def exchanges(self) -> list[Exchange]:
        """Every exchange so far that is complete; those of one connection in their order."""
        return [exchange for wire in list(self.wires) for exchange in _exchanges(wire)]


class _Connection(socketserver.BaseRequestHandler):
    server: Tap

    def handle(self) -> None:
        wire = Wire()
        self.server.wires.append(wire)
        with socket.create_connection(self.server.model) as model:
            back = threading.Thread(target=_pass_on, args=(model, self.request, wire.back))
            back.start()
            _pass_on(self.request, model, wire.there)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):  # either side may go whenever it likes
        while data := source.recv(2**16):
            kept += data
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _exchanges(wire: Wire) -> Iterator[Exchange]:
    there, back = bytes(wire.there), bytes(wire.back)
    while asked := _message(h11.Connection(h11.SERVER), there):
        request, body, there = asked
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method=request.method, target="/", headers=[("host", "model")]))
        reader.send(h11.EndOfMessage())
        answered = _message(reader, back)
        if answered is None:
            return
        response, answer, back = answered
        path = request.target.decode()
        yield Exchange(path, _texts(request), body, response.status_code, _texts(response), answer)


def _message(reader: h11.Connection, data: bytes) -> tuple[Any, bytes, bytes] | None:
    """The next head, its body, and what follows; None when it isn't complete yet."""
    head: Any = None
    body = b""
    if data:  # no data would mean the end of the connection
        reader.receive_data(data)
    while (event := reader.next_event()) is not h11.NEED_DATA:
        match event:
            case h11.Request() | h11.Response():
                head = event
            case h11.Data(data=piece):
                body += piece
            case h11.EndOfMessage():
                return head, body, reader.trailing_data[0]
    return None


def _texts(head: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in head.headers}
