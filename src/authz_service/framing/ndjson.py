"""An incremental decoder of lines of JSON (application/x-ndjson): bytes in, whole lines out."""

from __future__ import annotations

from authz_service.errors import Unreadable


class NdjsonDecoder:
    """Keeps what is no whole line yet, at most `max_line` bytes of it.

    A line ends with a line feed; the last may end with the stream. All lines, joined, are the stream.
    """

    def __init__(self, *, max_line: int) -> None:
        self._max_line = max_line
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, each with its end; raises `Unreadable` for one too large."""
        buffer = self._buffer
        searched = len(buffer)
        buffer += data
        lines: list[bytes] = []
        start = 0
        while end := buffer.find(b"\n", max(start, searched)) + 1:
            lines.append(self._line(buffer[start:end]))
            start = end
        del buffer[:start]
        self._check_size(len(buffer))
        return lines

    def finish(self) -> list[bytes]:
        """The last line, where it has no end of its own."""
        rest, self._buffer = self._buffer, bytearray()
        return [self._line(rest)] if rest else []

    def _line(self, line: bytearray) -> bytes:
        self._check_size(len(line))
        return bytes(line)

    def _check_size(self, size: int) -> None:
        if size > self._max_line:
            raise Unreadable(
                f"a line of the stream is larger than {self._max_line} bytes",
                code="event_too_large",
                status=502,
            )
