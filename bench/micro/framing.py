"""How fast bodies are read: JSON documents, and events as they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.micro.figure import Figure, Room, cpu_seconds_each
from bench.plan import Shape
from bench.traffic import EVENTS, SAW_NONE, completion, events, request_body

from authz_service.framing.json_canonical import fingerprint_json
from authz_service.framing.json_document import read_json
from authz_service.framing.sse import SseDecoder

_DEPTH = 64
_LARGEST_EVENT = 1 << 20


def framing(room: Room) -> Iterator[Figure]:
    """Of the messages that the gateways' loads are made of."""
    request, large = request_body(Shape.WHOLE), completion(SAW_NONE, Shape.LARGE)
    stream = events(SAW_NONE)
    document = read_json(request, max_depth=_DEPTH)

    def each(work: Callable[[], object]) -> float:
        return 1e6 * cpu_seconds_each(work, seconds=room.seconds)

    yield Figure("a JSON request of 1 KiB read", each(lambda: read_json(request, max_depth=_DEPTH)), "CPU µs")
    yield Figure("a JSON answer of 10 KiB read", each(lambda: read_json(large, max_depth=_DEPTH)), "CPU µs")
    yield Figure("the request's fingerprint", each(lambda: fingerprint_json(document)), "CPU µs")
    yield Figure("an event of a stream framed", each(lambda: _frame(stream)) / EVENTS, "CPU µs")


def _frame(stream: list[bytes]) -> None:
    decoder = SseDecoder(max_event=_LARGEST_EVENT)
    for event in stream:
        decoder.feed(event)
    decoder.finish()
