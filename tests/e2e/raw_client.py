"""A client that sends exactly the bytes it is given over HTTP/1.1, and says exactly what came back."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came for a request. `is_whole`: it ended as its framing says. Header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_whole: bool

    def header(self, name: str) -> str | None:
        """The one value of a header; None where it is absent."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def session(self) -> str:
        """The session's id."""
        found = self.header("x-authz-session")
        assert found is not None, self
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal."""
        assert self.header("content-type") == "application/json", self
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found

    @property
    def refusal(self) -> tuple[int, str]:
        """The status, and the code that the body says."""
        return self.status, str(self.error["code"])


def head(method: str, target: str, *headers: tuple[str, str]) -> bytes:
    """A request's head, its Host included."""
    lines = [f"{method} {target} HTTP/1.1", "host: gateway"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(pieces: Iterable[bytes], *, trailers: Pairs = ()) -> bytes:
    """A body in chunks, ended."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return chunks + b"0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in trailers).encode() + b"\r\n"


class RawClient:
    """One connection. `receive_buffer`, in bytes, makes a client that takes little at a time."""

    def __init__(self, url: str, *, timeout: float = 60.0, receive_buffer: int = 0) -> None:
        address = urlsplit(url)
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        self._socket.connect((address.hostname, address.port))
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The connection's, for `select`."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def send_what_is_taken(self, data: bytes) -> None:
        """Send bytes to a server that may answer and close before it has read them all."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end_sending(self) -> None:
        """Close this direction; the answer can still be read. Nothing, where the server has reset it."""
        with contextlib.suppress(OSError):  # ENOTCONN: it was reset before this
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def read(self, size: int = 65536) -> bytes:
        """Some bytes as they come, b"" at the end; a reset is an end too."""
        if self._buffer:
            found, self._buffer = self._buffer[:size], self._buffer[size:]
            return found
        try:
            return self._socket.recv(size)
        except ConnectionResetError:
            return b""

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`; what came after it stays. At the end: all that there was."""
        while mark not in self._buffer:
            rest, self._buffer = self._buffer, b""
            piece = self.read()
            self._buffer = rest + piece
            if not piece:
                found, self._buffer = self._buffer, b""
                return found
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def reply(self, *, to: str = "POST") -> Reply:
        """The answer to the request of method `to`, to its end; informational ones are passed over."""
        status, headers = self.reply_head()
        while status < 200:
            status, headers = self.reply_head()
        body, is_whole = b"", True
        named = dict(headers)
        if to == "HEAD" or status in (204, 304):
            pass
        elif named.get("transfer-encoding") == "chunked":
            body, is_whole = self._chunks()
        elif "content-length" in named:
            body = self._exactly(int(named["content-length"]))
            is_whole = len(body) == int(named["content-length"])
        else:
            while piece := self.read():
                body += piece
        return Reply(status, headers, body, is_whole)

    def reply_head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        """The next status and its headers."""
        block = self.read_until(b"\r\n\r\n").decode("latin-1")
        assert block.startswith("HTTP/1.1 "), f"no answer came: {block!r}"
        status, *lines = block.removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return int(status.split(" ")[1]), tuple((name.lower(), value.strip()) for name, value in pairs)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (piece := self.read(size - len(found))):
            found += piece
        return found

    def _chunks(self) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        while (line := self.read_until(b"\r\n")).endswith(b"\r\n"):
            size = int(line, 16)
            if size == 0:
                return b"".join(pieces), self.read_until(b"\r\n") == b"\r\n"
            pieces.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                break
        return b"".join(pieces), False
