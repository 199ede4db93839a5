"""Events come out whole, in order and with their exact bytes, however the stream was cut."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.framing.sse import SseDecoder, SseEvent, encode_event

LINES = [
    b"data: x", b"data:y", b"data", b"data:  z", b": note", b":", b"id: 7", b"retry: 9", b"event: ping",
    b"event", b"other: q", b"data : no", "data: é😀".encode(), b"data: [DONE]", b"",
]  # fmt: skip
streams = st.lists(
    st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=14
).map(lambda parts: b"".join(line + end for line, end in parts))


def decode(chunks: list[bytes], *, max_event: int = 1000) -> list[SseEvent]:
    decoder = SseDecoder(max_event=max_event)
    events = [e for chunk in chunks for e in decoder.feed(chunk)]
    return [decoder.read(e) for e in events + decoder.finish()]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(a, len(data)) for a in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def spelled_out(stream: bytes) -> list[tuple[str | None, str | None]]:
    """The dispatched events, line by line as the standard tells it (WHATWG HTML 9.2.6)."""
    events: list[tuple[str | None, str | None]] = []
    data: list[str] = []
    name: str | None = None
    for line in re.split(r"\r\n|\n|\r", stream.decode().removeprefix("\ufeff")):
        if not line:
            if data:
                events.append(("\n".join(data), name))
            data, name = [], None
            continue
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        if field == "event" and name is None:
            name = value.removeprefix(" ")
    return events


@given(streams, st.lists(st.integers(0, 120), max_size=8), st.booleans())
def test_every_cut_gives_the_same_events_and_their_bytes_are_the_stream(
    stream: bytes, at: list[int], has_bom: bool
) -> None:
    stream = b"\xef\xbb\xbf" * has_bom + stream + b"data: end\n\n"
    whole = decode([stream])
    assert decode(cut(stream, at)) == whole == decode([bytes([b]) for b in stream])
    assert b"".join(e.raw for e in whole) == stream
    assert [(e.data, e.event) for e in whole if e.data is not None] == spelled_out(stream)


@given(streams)
def test_an_event_of_which_something_would_be_lost_is_not_plain(stream: bytes) -> None:
    for event in decode([stream + b"\n\n"]):
        if not event.is_plain:
            assert re.search(
                rb"(^|[\r\n])(:[^\r\n]|id|retry|other|data :)|event.*[\r\n].*event", event.raw, re.DOTALL
            )
        else:
            assert not re.search(rb"(^|[\r\n])(:[^\r\n]|id|retry|other|data :)", event.raw)


@given(st.text().map(lambda t: t.replace("\r", "")), st.sampled_from([None, "ping"]))
def test_an_encoded_event_reads_back(data: str, event: str | None) -> None:
    encoded = encode_event(data, event)
    assert decode([encoded]) == [SseEvent(encoded, data, event, True)]


@pytest.mark.parametrize(
    "stream", [b"data: x", b"data: x\n", b"data: x\r\n", b"data: x\n\n:", b"\xef\xbb\xbf", b"\nid"]
)
def test_a_stream_that_ends_within_an_event_is_refused(stream: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        decode([stream])
    assert refused.value.code == "truncated_stream"


@pytest.mark.parametrize("rest", [b"\n", b"\r", b"\r\n", b"\n\n\n"])
def test_blank_lines_at_the_end_are_no_event_and_are_not_lost(rest: bytes) -> None:
    events = decode([b"data: x\n\n" + rest])
    assert b"".join(e.raw for e in events) == b"data: x\n\n" + rest
    assert [e.data for e in events if e.data is not None] == ["x"]


def test_a_blank_line_of_one_cr_waits_for_the_lf_that_may_belong_to_it() -> None:
    decoder = SseDecoder(max_event=100)
    assert decoder.feed(b"data: x\r\r") == []
    assert decoder.feed(b"\ndata: y\n\n") == [b"data: x\r\r\n", b"data: y\n\n"]


def test_an_event_comes_out_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder(max_event=100)
    assert decoder.feed(b"data: x\r\n\r\nda") == [b"data: x\r\n\r\n"]
    assert decoder.feed(b"ta: y\n\n") == [b"data: y\n\n"]


@pytest.mark.parametrize("sizes", [[30], [10, 10, 10], [1] * 30])
def test_an_event_over_the_limit_is_refused_whole_or_in_pieces(sizes: list[int]) -> None:
    with pytest.raises(Unreadable) as refused:
        decode(
            [b"data: " + b"x" * 40 + b"\n\n"] if sizes == [30] else [b"d" * s for s in sizes], max_event=20
        )
    assert refused.value.code == "event_too_large"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("at", range(3))
def test_one_event_over_the_limit_is_refused_among_small_ones(end: bytes, at: int) -> None:
    events = [b"data: x" + end] * 2
    events.insert(at, b"data: " + b"x" * 40 + end)
    with pytest.raises(Unreadable) as refused:
        decode([b"".join(events)], max_event=30)
    assert refused.value.code == "event_too_large"


def test_many_events_below_the_limit_are_no_large_event() -> None:
    assert len(decode([b"data: x\n\n" * 50], max_event=20)) == 50


def test_an_event_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Unreadable) as refused:
        decode([b"data: \xff\n\n"])
    assert refused.value.code == "invalid_utf8"
