"""Frames of every dialect with a text in a place that nobody names, and a pipe for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.detectors import build_scanner
from authz_service.masking.placeholders import Placeholders
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

CARD = "4111111111111111"
SCANNER = build_scanner(["CREDIT_CARD"])
START = [
    {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
]
SO = {"type": "response.output_text.delta", "item_id": "i", "content_index": 0, "delta": "so "}
STOP = [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]


def chat(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {"own": text}}]} for text in said]


def chat_lists(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {"annotations": [{"title": text}]}}]} for text in said]


def completions(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "text": "", "reasoning": text}]} for text in said]


def deltas(*said: Any) -> list[Any]:
    deltas = [{"type": "compaction_delta", "content": text} for text in said]
    return [*START, *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas), *STOP]


def citations(*said: Any) -> list[Any]:
    deltas = [{"type": "citations_delta", "citation": {"cited_text": text}} for text in said]
    return [*START, *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas), *STOP]


def lines(*said: Any) -> list[Any]:
    messages: list[dict[str, Any]] = [{"message": {"role": "assistant", "reasoning": text}} for text in said]
    return [*messages, {"message": {"content": ""}, "done": True}]


def pieces(*said: Any) -> list[Any]:
    return [*({"content": "", "own": text, "stop": False} for text in said), {"content": "", "stop": True}]


def tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False}, "own": {"text": text}} for text in said]


def in_tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False, "own": text}} for text in said]


def generated(*said: Any) -> list[Any]:
    return [{"model_name": "m", "text_output": "", "reasoning_output": text} for text in said]


def generated_lines(*said: Any) -> list[Any]:
    return [*({"response": "", "own": text} for text in said), {"response": "", "done": True}]


def own_pieces(*said: Any) -> list[Any]:
    return [{"content": "", "text": text, "stop": False} for text in said]


def pieces_within(*said: Any) -> list[Any]:
    return [{"content": "", "message": {"content": text}, "stop": False} for text in said]


def beside_tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False}, "text": text} for text in said]


def inputs(*said: Any) -> list[Any]:
    return [*({"response": "", "input": text} for text in said), {"response": "", "done": True}]


def contents(*said: Any) -> list[Any]:
    return [{"model_name": "m", "text_output": "", "contents": text} for text in said]


def beside_tensors(*said: Any) -> list[Any]:
    return [{"model_name": "m", "outputs": [], "contents": text} for text in said]


def in_tensors(*said: Any) -> list[Any]:
    tensors = [{"name": "o", "datatype": "BYTES", "shape": [1], "data": ["so "], "own": own} for own in said]
    return [{"model_name": "m", "outputs": [tensor]} for tensor in tensors]


def events(*said: Any) -> list[Any]:
    return [{**SO, "text": text} for text in said]


def own_events(*said: Any) -> list[Any]:
    return [{"type": "response.own.delta", "item_id": "i", "delta": {"n": "so "}, "own": s} for s in said]


DIALECTS = pytest.mark.parametrize(
    ("path", "frames"),
    [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat_lists),
        ("/v1/completions", completions),
        ("/v1/messages", deltas),
        ("/v1/messages", citations),
        ("/api/chat", lines),
        ("/api/generate", generated_lines),
        ("/completion", pieces),
        ("/generate_stream", tokens),
        ("/generate_stream", in_tokens),
        ("/v2/models/m/generate_stream", generated),
        ("/completion", own_pieces),
        ("/completion", pieces_within),
        ("/generate_stream", beside_tokens),
        ("/api/generate", inputs),
        ("/v2/models/m/generate_stream", contents),
        ("/v2/models/m/infer_stream", beside_tensors),
        ("/v2/models/m/infer_stream", in_tensors),
        ("/v1/responses", events),
        ("/v1/responses", own_events),
    ],
)


def answered(path: str, frames: list[Any]) -> tuple[str, dict[str, int]]:
    pipe = pipe_of(path)
    steps = [pipe.feed(stream(path, frames)), pipe.finish()]
    found_in = {key: n for step in steps for key, n in step.found.items()}
    return b"".join(step.release for step in steps).decode(), found_in


def stream(path: str, frames: list[Any]) -> bytes:
    frame = "{}\n" if path.startswith("/api/") else "data: {}\n\n"
    return "".join(frame.format(json.dumps(document)) for document in frames).encode()


def pipe_of(path: str, scanner: Scanner = SCANNER, placeholders: Placeholders | None = None) -> AnswerPipe:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    is_lines = path.startswith("/api/")
    return answer_pipe(
        api=api,
        request=RequestView(api.name, operation.name, "m", True, ()),
        content_type="application/x-ndjson" if is_lines else "text/event-stream",
        scanner=scanner,
        masked_entities=scanner.entities,
        max_body=1 << 20,
        max_depth=64,
        placeholders=placeholders,
    )
