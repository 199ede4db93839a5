"""What must hold of the decoders for any bytes: other readers agree, and any cut is the whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from tests.fuzz.documents import MASKED, places, value_at, with_value

from authz_service.errors import Unreadable
from authz_service.framing.json_canonical import fingerprint_json
from authz_service.framing.json_document import InexactFloat, read_json
from authz_service.framing.json_edit import edit_json
from authz_service.framing.ndjson import NdjsonDecoder
from authz_service.framing.sse import SseDecoder, encode_event

DEPTH = 64
LARGEST = 1 << 20
_LINE_END = re.compile(rb"\r\n|\n|\r")


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """The first eight bytes say how the rest is cut: it, and its pieces."""
    lengths, rest = [byte % 17 for byte in data[:8]] or [0], data[8:]
    if not any(lengths):
        return rest, [rest]
    pieces: list[bytes] = []
    at = 0
    while at < len(rest):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(rest[at : at + length])
        at += length
    return rest, pieces


def json_document(data: bytes) -> None:
    """Two readers in other languages agree with ours; edits change nothing but what they name."""
    code, document = _read(data)
    if code in ("invalid_json", "trailing_data", "invalid_utf8"):
        assert not _is_read_by(orjson.loads, data), f"only we refuse it: {code}"
    if code:
        return
    assert _same(document, json.loads(data))
    assert _same(document, orjson.loads(data))
    canonical = fingerprint_json(document)
    assert fingerprint_json(read_json(canonical, max_depth=DEPTH)) == canonical
    assert edit_json(data, {}) == data
    for place in places(document)[:16]:
        if not place.is_key and isinstance(value_at(document, place), str):
            edited = edit_json(data, {place.path: MASKED})
            assert json.loads(edited) == with_value(json.loads(data), place, MASKED)


def _read(data: bytes) -> tuple[str, object]:
    """Why a document is refused, or "" and the document."""
    try:
        return "", read_json(data, max_depth=DEPTH)
    except Unreadable as refused:
        return refused.code, None


def _is_read_by(reader: Callable[[bytes], object], data: bytes) -> bool:
    try:
        reader(data)
    except ValueError:
        return False
    return True


def _same(mine: Any, other: Any) -> bool:
    """Whether two readings are the same, but for integers that another reader takes as doubles."""
    if isinstance(mine, dict):
        is_like = isinstance(other, dict) and list(mine) == list(other)
        return is_like and all(_same(value, other[key]) for key, value in mine.items())
    if isinstance(mine, list):
        is_like = isinstance(other, list) and len(mine) == len(other)
        return is_like and all(map(_same, mine, other))
    if isinstance(mine, InexactFloat) or (isinstance(mine, int) and isinstance(other, float)):
        return isinstance(other, float | int) and float(mine) == float(other)
    return type(mine) is type(other) and mine == other


def sse(data: bytes) -> None:
    """Any cut gives the events of the whole, which are those of the standard's own algorithm."""
    whole, pieces = cut(data)
    try:
        events = _events([whole])
    except Unreadable:
        assert _refuses(_events, pieces)
        return
    assert _events(pieces) == events
    assert b"".join(raw for raw, _ in events) == whole
    said = [text for _, text in events if text is not None]
    assert said == list(_standard_events(whole))
    for text in said:
        (again,) = _events([encode_event(text, None)])
        assert again[1] == text


def _events(pieces: Sequence[bytes]) -> list[tuple[bytes, str | None]]:
    decoder = SseDecoder(max_event=LARGEST)
    raw = [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()
    return [(event, decoder.read(event).data) for event in raw]


def _standard_events(stream: bytes) -> Iterator[str]:
    """WHATWG HTML 9.2.6, step by step, of a stream whose last event is complete."""
    lines: list[bytes] = []
    for line in _LINE_END.split(stream.removeprefix(b"\xef\xbb\xbf")):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                lines.append(value.removeprefix(b" "))
        elif lines:
            yield b"\n".join(lines).decode()
            lines = []


def ndjson(data: bytes) -> None:
    """Any cut gives the lines of the whole, which joined are the stream."""
    whole, pieces = cut(data)
    lines = _lines([whole])
    assert _lines(pieces) == lines
    assert b"".join(lines) == whole
    assert all(b"\n" not in line[:-1] for line in lines)


def _lines(pieces: Sequence[bytes]) -> list[bytes]:
    decoder = NdjsonDecoder(max_line=LARGEST)
    return [line for piece in pieces for line in decoder.feed(piece)] + decoder.finish()


def _refuses(read: Callable[[Sequence[bytes]], object], pieces: Sequence[bytes]) -> bool:
    try:
        read(pieces)
    except Unreadable:
        return True
    return False
