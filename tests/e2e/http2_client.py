"""One HTTP/2 request, with whatever headers, pieces and trailers a test wants to send."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from tests.e2e.raw_client import Reply

STREAM = 1
Fields = Sequence[tuple[str, str]]


def ask_http2(url: str, fields: Fields, pieces: Sequence[bytes], *, trailers: Fields = ()) -> Reply | None:
    """The answer, or None when the stream or the connection ended without one. Nothing is checked here."""
    address = urlsplit(url)
    lax = H2Configuration(
        header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
    )
    connection = H2Connection(lax)
    connection.initiate_connection()
    connection.send_headers(STREAM, fields, end_stream=not (pieces or trailers))
    for number, piece in enumerate(pieces, start=1):
        connection.send_data(STREAM, piece, end_stream=number == len(pieces) and not trailers)
    if trailers:
        connection.send_headers(STREAM, trailers, end_stream=True)
    with socket.create_connection((address.hostname, address.port or 80), timeout=60) as channel:
        channel.sendall(connection.data_to_send())
        return _reply(channel, connection)


def _reply(channel: socket.socket, connection: H2Connection) -> Reply | None:
    headers: tuple[tuple[str, str], ...] = ()
    body = b""
    while data := _received(channel):
        for event in connection.receive_data(data):
            if isinstance(event, DataReceived):
                body += event.data or b""
                connection.acknowledge_received_data(event.flow_controlled_length or 0, STREAM)
            headers += _fields(event)
            if isinstance(event, StreamEnded):
                status = int(dict(headers)[":status"])
                return Reply(status, headers[1:], body, is_whole=True)
            if isinstance(event, StreamReset | ConnectionTerminated):
                return None
        with suppress(ConnectionError):  # it may have closed: what it said before is still to be read
            channel.sendall(connection.data_to_send())
    return None


def _received(channel: socket.socket) -> bytes:
    """Some bytes as they come, b"" at the end; a reset is an end too."""
    try:
        return channel.recv(65536)
    except ConnectionResetError:
        return b""


def _fields(event: Event) -> tuple[tuple[str, str], ...]:
    if not isinstance(event, ResponseReceived | TrailersReceived):
        return ()
    return tuple((str(name), str(value)) for name, value in event.headers or ())
