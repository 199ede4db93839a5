"""What must hold of every adapter for any document: it is refused, or a canary in it never gets through."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.documents import mutated, places, value_at, with_value

from authz_service.errors import Unreadable
from authz_service.framing.encoding import BodyFormat
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.masking.detectors import build_scanner
from authz_service.masking.seams import Scanner
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.registry import ADAPTERS, find_operation
from authz_service.view.request import RequestView
from authz_service.view.unread import require_permitted

CANARY = "zq7canary@canary.example"
ENTITIES = frozenset({"EMAIL_ADDRESS"})
MODEL = "llama"
DEPTH = 64
LARGEST = 1 << 20
HEAD = 4
"""Bytes that choose the operation, the place of the canary (two), and how it stands there."""

_CONTENT_TYPES = {
    BodyFormat.JSON: ("application/json", b"%b"),
    BodyFormat.EVENT_STREAM: ("text/event-stream", b"data: %b\n\n"),
    BodyFormat.NDJSON: ("application/x-ndjson", b"%b\n"),
}
_AROUND = ("%s", "so %s", "%s, or", "to %s now", 'a "%s"', "{%s}", "<%s>", "\n%s\n")


@cache
def operations() -> tuple[tuple[ModelApi, Operation], ...]:
    """Every adapter's operations, as the registry finds them."""
    found = []
    for adapter in ADAPTERS:
        for operation in adapter.operations:
            path = operation.path.replace("{model}", MODEL).replace("{version}", "1")
            route = find_operation(operation.method, path)
            assert route is not None
            found.append(route)
    return tuple(found)


@cache
def scanner() -> Scanner:
    """The one detector that the canary needs."""
    return build_scanner(ENTITIES)


def request(data: bytes) -> None:
    """No error but a refusal; a canary in any string or key is refused or masked; what is clean stays."""
    if len(data) < HEAD:
        return
    api, operation = operations()[data[0] % len(operations())]
    _forward(api, operation, data[HEAD:])
    hidden = _hidden(_named(_parsed(data[HEAD:])), data)
    if hidden is not None:
        out = _forward(api, operation, json.dumps(hidden).encode())
        assert out is None or not _tells(out), f"{api.name} {operation.name}: {json.dumps(hidden)}"


def _forward(api: ModelApi, operation: Operation, body: bytes) -> bytes | None:
    try:
        inspected = inspect_request(
            body,
            api=api,
            operation=operation,
            scanner=scanner(),
            masked_entities=ENTITIES,
            models={MODEL: MODEL},
            noise=(),
            max_depth=DEPTH,
        )
        require_permitted(inspected.view.unread, ())
    except Unreadable:
        return None
    assert inspected.masked or inspected.forward == body
    inspected.in_full()
    return inspected.forward


def answer(data: bytes) -> None:
    """No error but a refusal; a canary in any string or key of a frame is masked, or ends the answer."""
    if len(data) < HEAD:
        return
    api, operation = operations()[data[0] % len(operations())]
    formats = sorted(api.answer_formats)
    body_format = formats[data[3] // len(_AROUND) % len(formats)]
    _released(api, operation, body_format, data[HEAD:], b"")
    document = _parsed(data[HEAD:])
    hidden = _hidden(document, data)
    if hidden is not None:
        body = json.dumps(hidden).encode()
        before = (
            json.dumps(document).encode() if data[3] & 128 and body_format is not BodyFormat.JSON else b""
        )
        out = _released(api, operation, body_format, body, before)
        assert CANARY.encode() not in out, f"{api.name} {operation.name} {body_format}: {json.dumps(hidden)}"


def _released(
    api: ModelApi, operation: Operation, body_format: BodyFormat, body: bytes, before: bytes
) -> bytes:
    content_type, frame = _CONTENT_TYPES[body_format]
    view = RequestView(
        api.name, operation.name, MODEL, body_format is not BodyFormat.JSON, (), tools=("find",)
    )
    pipe = answer_pipe(
        api=api,
        request=view,
        content_type=content_type,
        scanner=scanner(),
        masked_entities=ENTITIES,
        max_body=LARGEST,
        max_depth=DEPTH,
    )
    out = b""
    try:
        for document in filter(None, (before, body)):
            out += pipe.feed(frame % document).release
        out += pipe.finish().release
    except Unreadable:
        pass
    return out


def _parsed(body: bytes) -> Any:
    try:
        document = json.loads(body)
        json.dumps(document).encode()
    except (ValueError, RecursionError):
        return None
    return document


def _named(document: Any) -> Any:
    """With the one model that there is, so that more documents are read to their end."""
    return {**document, "model": MODEL} if isinstance(document, dict) and "model" in document else document


def _hidden(document: Any, data: bytes) -> Any:
    """The document with the canary in the place that the head chooses."""
    every = [place for place in places(document) if isinstance(value_at(document, place), str)]
    if not every:
        return None
    place = every[int.from_bytes(data[1:3], "big") % len(every)]
    return with_value(document, place, _AROUND[data[3] % len(_AROUND)] % CANARY)


def _tells(body: bytes) -> bool:
    """Whether the canary is in a body, however it is written."""
    document = json.loads(body)
    said = (str(value_at(document, place)) for place in places(document))
    return any(CANARY in text for text in said)


def mutate(data: bytes, words: list[str], values: list[Any], seed: int) -> bytes | None:
    """Another document, and now and then another head; None where there is no document to change."""
    document = _parsed(data[HEAD:])
    if document is None or len(data) < HEAD:
        return None
    random = Random(seed)
    for _ in range(random.randint(1, 3)):
        document = mutated(document, random, words, values)
    head = bytearray(data[:HEAD])
    head[random.randint(0, HEAD - 1)] = random.randint(0, 255)
    return bytes(head) + json.dumps(document).encode()
