"""What the scriptable upstream can be told to answer, and what it tells of the requests it received."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

Headers = tuple[tuple[str, str], ...]
JSON_TYPE: Headers = (("content-type", "application/json"),)
SSE_TYPE: Headers = (("content-type", "text/event-stream; charset=utf-8"),)


class Gate:
    """A point that an answer waits at until the test opens it; it can be waited for from both sides."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open = asyncio.Event()
        self.reached = threading.Event()
        """Set when the answer has sent everything before this point."""

    def open(self) -> None:
        """Let the answer go on; from any thread."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def pass_through(self) -> None:
        """The answer's side."""
        self.reached.set()
        await self._open.wait()


class Ending(Enum):
    """How an answer's body ends: as its framing says, cut off by a close, or by a reset."""

    CLEAN = "clean"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent for one request. `steps` are pieces of the body, gates, and delays in seconds.

    The body is chunked unless `headers` has a content-length. `informational` are statuses sent before
    (103). With `early` the answer begins before the request's body is read, which then never is.
    `raw` replaces everything that would be sent.
    """

    status: int = 200
    headers: Headers = JSON_TYPE
    steps: Sequence[bytes | Gate | float] = ()
    trailers: Headers = ()
    informational: tuple[tuple[int, Headers], ...] = ()
    ending: Ending = Ending.CLEAN
    early: bool = False
    raw: bytes | None = None


@dataclass(slots=True)
class Received:
    """A request as it arrived; `headers` in their order and as often as they came.

    It is in the list from its headers on: `complete` is set when the body has ended, `left` when the
    other side closed the connection before the answer's end, `answered` after the answer's last byte.
    Times are of `time.monotonic`.
    """

    method: str
    path: str
    headers: Headers
    at: float
    body: bytes = b""
    complete: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        """The body as a document."""
        return json.loads(self.body)


def whole(document: object, *, status: int = 200, headers: Headers = JSON_TYPE) -> Answer:
    """A JSON body with its length."""
    data = json.dumps(document, ensure_ascii=False).encode()
    return Answer(status, (*headers, ("content-length", str(len(data)))), (data,))


def completion(text: str | None, **message: Any) -> Answer:
    """A whole chat completion with one choice that says `text`."""
    said = {"role": "assistant", "content": text} | message
    return whole(_document("chat.completion", [{"index": 0, "message": said, "finish_reason": "stop"}]))


def stream(deltas: Iterable[str | Mapping[str, Any]], *, index: int = 0) -> Answer:
    """A streamed chat completion: a chunk for each delta (text, or a whole delta), an end and [DONE]."""
    pieces = [{"content": delta} if isinstance(delta, str) else dict(delta) for delta in deltas]
    choices: list[dict[str, Any]] = [
        {"index": index, "delta": piece, "finish_reason": None} for piece in pieces
    ]
    choices.append({"index": index, "delta": {}, "finish_reason": "stop"})
    documents = [_document("chat.completion.chunk", [choice], usage=False) for choice in choices]
    return Answer(headers=SSE_TYPE, steps=(*map(event, documents), b"data: [DONE]\n\n"))


def event(document: object) -> bytes:
    """One SSE event."""
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def gzipped(answer: Answer) -> Answer:
    """The same body, compressed and said to be so."""
    body = gzip.compress(b"".join(step for step in answer.steps if isinstance(step, bytes)))
    kept = tuple(header for header in answer.headers if header[0] != "content-length")
    return replace(answer, headers=(*kept, ("content-encoding", "gzip")), steps=(body,))


def plausible(request: Received) -> Answer:
    """What is answered when nothing is queued: a completion, streamed if the request asks for it."""
    if request.method != "POST":
        return whole({"object": "list", "data": []})
    try:
        is_streamed = request.json().get("stream") is True
    except (ValueError, AttributeError):
        return whole({"error": {"message": "not a JSON object", "type": "invalid_request_error"}}, status=400)
    return stream(["Hello", " from", " upstream."]) if is_streamed else completion("Hello from upstream.")


def _document(kind: str, choices: list[Any], *, usage: bool = True) -> dict[str, Any]:
    document = {
        "id": "chatcmpl-upstream",
        "object": kind,
        "created": 1,
        "model": "upstream",
        "choices": choices,
    }
    counts = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    return document | ({"usage": counts} if usage else {})
