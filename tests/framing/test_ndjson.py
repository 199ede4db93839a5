"""Lines of JSON: the same lines however the bytes were cut, and none too large."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.framing.ndjson import NdjsonDecoder


def lines(pieces: list[bytes], max_line: int = 1000) -> list[bytes]:
    decoder = NdjsonDecoder(max_line=max_line)
    return [line for piece in pieces for line in decoder.feed(piece)] + decoder.finish()


def test_a_line_ends_with_its_line_feed_and_the_last_with_the_stream() -> None:
    said = [b'{"a":1}\n', b"\r\n", b'{"b":2}\r\n', b'{"c":3}']
    assert lines([b'{"a":1}\n\r\n{"b":', b'2}\r\n{"c":3}']) == said
    assert lines([]) == lines([b""]) == []


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_any_cut_gives_the_same_lines_and_all_of_them_are_the_stream(data: bytes, at: list[int]) -> None:
    stream = data.replace(b"\x00", b"\n")
    bounds = [0, *sorted(min(a, len(stream)) for a in at), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(bounds)]
    assert lines(pieces) == lines([stream])
    assert b"".join(lines(pieces)) == stream
    assert all(line.count(b"\n") == line.endswith(b"\n") for line in lines(pieces))


def test_a_line_that_is_too_large_ends_the_stream_complete_or_not() -> None:
    for pieces in ([b"x" * 11], [b"x" * 10 + b"\n"], [b"x" * 6, b"x" * 6]):
        with pytest.raises(Unreadable) as caught:
            lines(pieces, max_line=10)
        assert (caught.value.code, caught.value.status) == ("event_too_large", 502)
    assert lines([b"x" * 9 + b"\n", b"x" * 10], max_line=10) == [b"x" * 9 + b"\n", b"x" * 10]
