"""As much of HTTP/1.1 as two programs need that know each other's messages, as fast as can be.

Neither sends a request before the last one was answered, and no body has a carriage return in it, so
that a chunked message ends where its bytes end with the last chunk (RFC 9112 7.1).
"""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Message:
    """One message as it comes in; `add` says when it is whole."""

    __slots__ = ("_end", "head", "received")

    def __init__(self) -> None:
        self.received = bytearray()
        self.head = 0
        self._end = 0

    def add(self, data: bytes) -> bool:
        """Take more of it; true with its last byte."""
        self.received += data
        if not self.head and not self._read_head():
            return False
        if self._end:
            return len(self.received) >= self._end
        return self.received.endswith(_LAST_CHUNK)

    @property
    def body(self) -> bytearray:
        """The body so far, with the frames of its chunks."""
        return self.received[self.head :]

    def _read_head(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.head = end + 4
        head = self.received[: end + 2]
        if not _CHUNKED.search(head):
            length = _LENGTH.search(head)
            self._end = self.head + (int(length[1]) if length else 0)
        return True


def with_length(head: bytes, body: bytes) -> bytes:
    """A message with a body of known length; `head` is the first line and the headers, with their ends."""
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
