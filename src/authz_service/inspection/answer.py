"""The answer pipe: bytes from the model server in, bytes that may go to the client out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import assert_never

from authz_service.errors import Unreadable
from authz_service.framing.encoding import BodyFormat, answer_format
from authz_service.framing.ndjson import NdjsonDecoder
from authz_service.framing.sse import SseDecoder, SseEvent, encode_event
from authz_service.inspection.every_string import EveryString
from authz_service.inspection.frames import FrameQueue, Frames
from authz_service.inspection.restored import GROWTH, RestoredPipe, restoring_queue
from authz_service.inspection.results import AnswerPipe, AnswerStep
from authz_service.masking.placeholders import Placeholders
from authz_service.masking.seams import Scanner
from authz_service.model_apis.base import ModelApi
from authz_service.view.request import RequestView


def answer_pipe(
    *,
    api: ModelApi,
    request: RequestView,
    content_type: str,
    scanner: Scanner,
    masked_entities: frozenset[str],
    max_body: int,
    max_depth: int,
    is_error: bool = False,
    placeholders: Placeholders | None = None,
) -> AnswerPipe:
    """A pipe for the answer to `request`; raises `Unreadable` for a format that is not the dialect's.

    `max_body` (bytes) limits a whole body, one event or line, what waits of a stream, and the characters
    that are restored. With `is_error` (a status of 400 or above) every string of the document is a text,
    whatever the dialect. The values of `placeholders` are restored in what masking leaves.
    """
    body_format = _format(content_type, api.answer_formats)
    queue = FrameQueue(
        reader=EveryString() if is_error else api.answer_reader(request),
        scanner=scanner,
        masked_entities=masked_entities,
        max_held=max_body,
        max_depth=max_depth,
    )
    pipe = _pipe(queue, body_format, max_body, api)
    if placeholders is not None:
        restoring = restoring_pipe(
            api=api,
            request=request,
            content_type=content_type,
            placeholders=placeholders,
            max_body=max_body,
            max_depth=max_depth,
            is_error=is_error,
        )
        pipe = RestoredPipe(pipe, restoring)
    return _Guarded(pipe)


def restoring_pipe(
    *,
    api: ModelApi,
    request: RequestView,
    content_type: str,
    placeholders: Placeholders,
    max_body: int,
    max_depth: int,
    is_error: bool = False,
) -> AnswerPipe:
    """The second half of `answer_pipe` alone, for an answer that was masked; `masked` counts the restored."""
    limit = GROWTH * max_body
    queue = restoring_queue(
        placeholders,
        EveryString() if is_error else api.answer_reader(request),
        most=max_body,
        max_held=limit,
        max_depth=max_depth,
    )
    return _Guarded(_pipe(queue, _format(content_type, api.answer_formats), limit, api))


def frames_pipe(queue: Frames, *, api: ModelApi, content_type: str, max_body: int) -> AnswerPipe:
    """A pipe whose frames `queue` takes; as `answer_pipe` in all else."""
    return _Guarded(_pipe(queue, _format(content_type, api.answer_formats), max_body, api))


def _pipe(queue: Frames, body_format: BodyFormat, max_body: int, api: ModelApi) -> AnswerPipe:
    match body_format:
        case BodyFormat.JSON:
            return _WholeBody(queue, max_body)
        case BodyFormat.EVENT_STREAM:
            return _EventStream(queue, max_body, api)
        case BodyFormat.NDJSON:
            return _Lines(queue, max_body)
        case _ as never:
            assert_never(never)


@lru_cache(maxsize=64)  # every answer of a model server has the same one
def _format(content_type: str, formats: frozenset[BodyFormat]) -> BodyFormat:
    return answer_format(content_type, formats=formats)


_IS_OVER = "the answer has failed or ended before"


class _Guarded:
    """Fails for good: after an error, or the end, nothing is taken any more."""

    def __init__(self, pipe: AnswerPipe) -> None:
        self._pipe: AnswerPipe | None = pipe

    def feed(self, data: bytes) -> AnswerStep:
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            raise RuntimeError(_IS_OVER)
        step = pipe.feed(data)
        self._pipe = pipe
        return step

    def finish(self) -> AnswerStep:
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            raise RuntimeError(_IS_OVER)
        return pipe.finish()


class _WholeBody:
    def __init__(self, queue: Frames, max_body: int) -> None:
        self._queue = queue
        self._max_body = max_body
        self._body: bytes | bytearray = b""

    def feed(self, data: bytes) -> AnswerStep:
        if not self._body:
            self._body = data  # mostly it is all of it, which need not be copied
        elif isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body = bytearray(self._body) + data
        if len(self._body) > self._max_body:
            raise Unreadable(
                f"the answer is larger than {self._max_body} bytes", code="answer_too_large", status=502
            )
        return AnswerStep(b"", {}, {})

    def finish(self) -> AnswerStep:
        if self._body:
            body = bytes(self._body)
            self._queue.put(body, body, bytes, is_only=True)
            self._queue.end()
        return self._queue.step(is_last=True)


class _EventStream:
    def __init__(self, queue: Frames, max_body: int, api: ModelApi) -> None:
        self._queue = queue
        self._decoder = SseDecoder(max_event=max_body)
        self._event_names = api.event_names
        self._end_of_stream = api.end_of_stream
        self._has_ended = False

    def feed(self, data: bytes) -> AnswerStep:
        _put_each(self._queue, self._decoder.feed(data), self._read)
        return self._queue.step(is_last=False)

    def finish(self) -> AnswerStep:
        for event in self._decoder.finish():
            self._take(self._decoder.read(event))
        self._queue.end()
        return self._queue.step(is_last=True)

    def _read(self, event: bytes) -> None:
        self._take(self._decoder.read(event))

    def _take(self, event: SseEvent) -> None:
        name, data = event.event, event.data
        if data is None:
            # A comment keeps a connection open and carries what nobody reads; blank lines carry nothing.
            if event.is_plain and name is None:
                self._queue.put_unread(event.raw)
            return
        if self._has_ended:
            raise Unreadable("the stream goes on after its end", code="unreadable_answer", status=502)
        if name is not None and name not in self._event_names:
            name = None
            event = event._replace(event=None, is_plain=False)
        self._put(event, data, partial(_wrapped, name))

    def _put(self, event: SseEvent, data: str, wrap: Callable[[bytes], bytes]) -> None:
        if data and data != self._end_of_stream:
            self._queue.put(event.raw, data.encode(), wrap, is_plain=event.is_plain)
            return
        if data:
            self._has_ended = True
            self._queue.end()
        self._queue.put_unread(event.raw if event.is_plain else wrap(data.encode()))


class _Lines:
    def __init__(self, queue: Frames, max_body: int) -> None:
        self._queue = queue
        self._decoder = NdjsonDecoder(max_line=max_body)

    def feed(self, data: bytes) -> AnswerStep:
        _put_each(self._queue, self._decoder.feed(data), self._take)
        return self._queue.step(is_last=False)

    def finish(self) -> AnswerStep:
        for line in self._decoder.finish():
            self._take(line)
        self._queue.end()
        return self._queue.step(is_last=True)

    def _take(self, line: bytes) -> None:
        document = line.strip(b" \t\r\n")
        if not document:
            self._queue.put_unread(line)
        else:
            self._queue.put(line, document, _line)


def _put_each(queue: Frames, frames: Sequence[bytes], read: Callable[[bytes], None]) -> None:
    """Queue frames as they came; `read` takes one that is not like the last."""
    at = 0
    while at < len(frames):
        again = queue.put_again(frames, at)
        if not again:
            read(frames[at])
        at += again or 1


def _line(json: bytes) -> bytes:
    return json + b"\n"


def _wrapped(name: str | None, json: bytes) -> bytes:
    return encode_event(json.decode(), name)
