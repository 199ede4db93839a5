"""What a person says in the place of a model reads like an answer of that API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.base import Said
from authz_service.model_apis.registry import find_operation

SCANNER = build_scanner()
TEXT = 'Ask bob@example.com.\n"Soon", he said: é🎈'
CHAT: dict[str, Any] = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", CHAT | {"n": 2}),
    ("/v1/completions", {"model": "llama", "prompt": "Hi"}),
    ("/v1/responses", {"model": "llama", "input": "Hi", "store": False}),
    ("/v1/messages", CHAT | {"max_tokens": 9}),
    ("/api/chat", CHAT),
    ("/api/generate", {"model": "llama", "prompt": "Hi"}),
    ("/completion", {"prompt": "Hi"}),
    ("/generate", {"inputs": "Hi"}),
    ("/generate_stream", {"inputs": "Hi"}),
]
NOT_TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/embeddings", {"model": "llama", "input": "Hi"}),
    ("/v1/messages/count_tokens", CHAT),
    ("/api/embed", {"model": "llama", "input": "Hi"}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_an_answer_of_a_persons_is_read_and_masked_like_the_models(
    path: str, body: dict[str, Any], stream: bool
) -> None:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    if "generate_stream" not in path and path != "/generate":
        body = body | {"stream": stream}
    view = api.read_request(operation, body)
    own = api.own_answer(view, Said(TEXT, "0a1b", 1_800_000_000))
    assert own is not None
    assert json.dumps(TEXT, ensure_ascii=False)[1:-1] in own.body.decode()
    for masked in (frozenset[str](), frozenset({"EMAIL_ADDRESS"})):
        pipe = answer_pipe(
            api=api,
            request=view,
            content_type=own.content_type,
            scanner=SCANNER,
            masked_entities=masked,
            max_body=10_000,
            max_depth=64,
        )
        first = pipe.feed(own.body)
        last = pipe.finish()
        released = first.release + last.release
        assert (first.found or last.found)["EMAIL_ADDRESS"] == view.choices
        if masked:
            assert b"bob@" not in released
            assert b"[EMAIL_ADDRESS]" in released
        else:
            assert released == own.body


@pytest.mark.parametrize(("path", "body"), NOT_TEXTS)
def test_what_is_answered_with_numbers_nobody_can_answer_with_words(path: str, body: dict[str, Any]) -> None:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    assert api.own_answer(api.read_request(operation, body), Said(TEXT, "1", 1)) is None
