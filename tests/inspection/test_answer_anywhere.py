"""Whatever an answer has, and wherever: a value in it is masked, cleared, or ends the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.inspection.anywhere import MARKS, changed, nodes

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"
FILES = {
    "/v1/chat/completions": (
        *("llamacpp_answer_logprobs.json", "openai_answer_tools.json", "llamacpp_stream_tools.sse"),
        *("llamacpp_stream_logprobs.sse", "vllm_stream_reasoning.sse", "vllm_stream_error.sse"),
    ),
    "/v1/completions": ("llamacpp_completion_logprobs.json", "llamacpp_completion_text.sse"),
    "/v1/messages": ("llamacpp_messages_text.json", "anthropic_stream_tools.sse"),
    "/completion": ("llamacpp_native_logprobs.json", "llamacpp_native_logprobs.sse"),
    "/v1/responses": ("llamacpp_response_tools.json", "llamacpp_response_tools.sse"),
    "/v2/models/llama/infer_stream": ("mlserver_stream.sse",),
}


@cache
def scanner() -> Scanner:
    return build_scanner(["CREDIT_CARD", "EMAIL_ADDRESS"])


def released(path: str, content_type: str, body: bytes) -> bytes:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    pipe = answer_pipe(
        api=api,
        request=RequestView(api.name, operation.name, "llama", True, ()),
        content_type=content_type,
        scanner=scanner(),
        masked_entities=scanner().entities,
        max_body=1 << 20,
        max_depth=64,
    )
    return pipe.feed(body).release + pipe.finish().release


def streams(body: str) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    """Streams in which one event has a value somewhere; of events of one shape, the first."""
    events = [event for event in body.split("\n\n") if event.strip()]
    seen: set[str] = set()
    for n, event in enumerate(events):
        data = next((line[6:] for line in event.split("\n") if line.startswith("data: {")), "")
        document = json.loads(data or "0")
        shape = str(([path for path, _ in nodes(document)], document.get("type") if document else ""))
        if not data or shape in seen:
            continue
        seen.add(shape)
        for path, other in changed(document):
            new = event.replace(data, json.dumps(other))
            yield (n, *path), "".join(f"{e}\n\n" for e in (*events[:n], new, *events[n + 1 :])).encode()


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in FILES.items() for name in names])
def test_no_value_goes_by_wherever_it_stands(path: str, name: str) -> None:
    body = (WIRE / name).read_text()
    is_stream = name.endswith(".sse")
    assert released(path, "text/event-stream" if is_stream else "application/json", body.encode())
    tried = refused = 0
    if is_stream:
        tries = streams(body)
    else:
        tries = ((where, json.dumps(other).encode()) for where, other in changed(json.loads(body)))
    for where, data in tries:
        tried += 1
        try:
            out = released(path, "text/event-stream" if is_stream else "application/json", data)
        except Unreadable:
            refused += 1
            continue
        assert not any(mark in out for mark in MARKS), where
    assert tried > 100
    assert refused < tried
