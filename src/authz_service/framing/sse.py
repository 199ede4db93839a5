"""An incremental decoder of server-sent events (WHATWG HTML 9.2): bytes in, whole events out."""

from __future__ import annotations

import re
from typing import NamedTuple

from authz_service.errors import Unreadable

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
# Atomic, or the CR LF that ends one line would be taken for two line ends.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK_LINE = 4


class SseEvent(NamedTuple):
    """One event. `raw` are its exact bytes, the blank line included.

    `data` is None when the event has none (a comment, blank lines). `is_plain`: it has nothing but
    `data`, at most one `event` and empty comments, so that its bytes may go on once the first two are
    judged.
    """

    raw: bytes
    data: str | None
    event: str | None
    is_plain: bool


def encode_event(data: str, event: str | None) -> bytes:
    """An event with this data and name, and nothing else."""
    if event is None and "\n" not in data:
        return f"data: {data}\n\n".encode()
    name = "" if event is None else f"event: {event}\n"
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"{name}{lines}\n".encode()


class SseDecoder:
    """Keeps what is no whole event yet, at most `max_event` bytes of it.

    Events come out as their exact bytes: joined, they are the stream. One whose blank line is a lone CR
    has the byte after it too, which might be the LF of the same line end.
    """

    def __init__(self, *, max_event: int) -> None:
        self._max_event = max_event
        self._buffer = bytearray()
        self._searched = 0
        self._has_cr = False
        self._is_first = True

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes; raises `Unreadable` for one too large."""
        self._has_cr = self._has_cr or b"\r" in data
        buffer = self._buffer
        if not buffer:  # as nearly always: what comes ends where an event does
            events, end = self._split(data, 0) if self._has_cr else self._split_at_feeds(data)
            if end == len(data):
                return events
            buffer += data[end:]
        else:
            buffer += data
            events, end = self._split(buffer, self._searched)
            del buffer[:end]
        self._searched = max(0, len(buffer) - _LONGEST_BLANK_LINE + 1)
        self._check_size(len(buffer))
        return events

    def finish(self) -> list[bytes]:
        """What was waiting for one more byte; raises `Unreadable` when the stream ends within an event."""
        rest, self._buffer = self._buffer, bytearray()
        if not rest:
            return []
        if rest.strip(b"\r\n") and not _BLANK_LINE.search(rest, max(0, len(rest) - _LONGEST_BLANK_LINE)):
            raise Unreadable("the stream ends within an event", code="truncated_stream", status=502)
        self._check_size(len(rest))
        return [bytes(rest)]

    def read(self, event: bytes) -> SseEvent:
        """What an event says; raises `Unreadable` for one not UTF-8. The first of a stream is read first."""
        lines = event.removeprefix(_BOM) if self._is_first else event
        self._is_first = False
        body = lines.strip(b"\r\n")
        if body.startswith(b"data:") and b"\n" not in body and b"\r" not in body:
            return SseEvent(event, _text(_value(body[5:])), None, True)
        return _fields(event, [line for line in _LINE_END.split(body) if line])

    def _split(self, data: bytes | bytearray, search_from: int) -> tuple[list[bytes], int]:
        """The whole events in `data`, and where the last one ends."""
        events: list[bytes] = []
        start, length = 0, len(data)
        while start < length and (end := self._blank_line_end(data, search_from)):
            if end == length and data[-1] == 0x0D:
                break
            self._check_size(end - start)
            events.append(bytes(data[start:end]))
            start = search_from = end
        return events, start

    def _split_at_feeds(self, data: bytes) -> tuple[list[bytes], int]:
        """As `_split`, of a stream without a CR, in a few steps for all events together."""
        *whole, rest = data.split(b"\n\n")
        events = [event + b"\n\n" for event in whole]
        if len(data) > self._max_event:
            for event in events:
                self._check_size(len(event))
        return events, len(data) - len(rest)

    def _blank_line_end(self, data: bytes | bytearray, start: int) -> int:
        """Where the next blank line at or after `start` ends; 0 when there is none."""
        if not self._has_cr:  # as nearly always: then finding one is a matter of two bytes
            found = data.find(b"\n\n", start)
            return 0 if found < 0 else found + 2
        blank = _BLANK_LINE.search(data, start)
        return blank.end() if blank else 0

    def _check_size(self, size: int) -> None:
        if size > self._max_event:
            raise Unreadable(
                f"an event of the stream is larger than {self._max_event} bytes",
                code="event_too_large",
                status=502,
            )


def _value(after_colon: bytes) -> bytes:
    return after_colon.removeprefix(b" ")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unreadable("an event of the stream is not UTF-8", code="invalid_utf8", status=502) from None


def _fields(raw: bytes, lines: list[bytes]) -> SseEvent:
    data: list[str] = []
    event: str | None = None
    is_plain = True
    for line in lines:
        name, _, after_colon = line.partition(b":")
        if name == b"data":
            data.append(_text(_value(after_colon)))
        elif name == b"event" and event is None:
            event = _text(_value(after_colon))
        elif line != b":":
            # A second name, a comment, an id: nobody judges them, so they do not cross. An empty comment
            # says nothing, and keeps a connection open while the model is silent.
            is_plain = False
    return SseEvent(raw, "\n".join(data) if data else None, event, is_plain)
