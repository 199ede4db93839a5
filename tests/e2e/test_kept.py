"""What a model server keeps, callers share behind a gateway: nothing is kept, nor had from there."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.e2e.plain import Plain, data_of, on_record, staff
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import whole

HI: dict[str, Any] = {"model": "llama", "input": "Hi"}
CHAT: dict[str, Any] = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
GENERATE: dict[str, Any] = {"model": "llama", "prompt": "Hi", "stream": False}

KEPT = (
    *("GET /v1/responses/resp_1", "DELETE /v1/responses/resp_1", "POST /v1/responses/resp_1/cancel"),
    *("GET /v1/responses/resp_1/input_items", "GET /v1/responses", "POST /v1/responses/compact"),
    *("GET /v1/chat/completions", "GET /v1/chat/completions/chatcmpl-1"),
    *("GET /v1/chat/completions/chatcmpl-1/messages", "DELETE /v1/chat/completions/chatcmpl-1"),
    *("POST /v1/conversations", "GET /v1/conversations/conv_1/items", "DELETE /v1/conversations/conv_1"),
    *("GET /v1/files", "POST /v1/files", "GET /v1/files/file_1/content", "DELETE /v1/files/file_1"),
    *("POST /v1/uploads", "POST /v1/uploads/upload_1/parts"),
    *("GET /v1/batches", "POST /v1/batches", "GET /v1/batches/batch_1", "POST /v1/batches/batch_1/cancel"),
    *("GET /v1/messages/batches", "POST /v1/messages/batches", "GET /v1/messages/batches/b_1/results"),
    *("POST /v1/vector_stores", "GET /v1/vector_stores/vs_1/files", "POST /v1/vector_stores/vs_1/search"),
    *("POST /v1/assistants", "GET /v1/threads/thread_1/messages", "GET /v1/containers/cntr_1/files"),
)


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Plain:
    return staff(stack)


@pytest.mark.parametrize("asked", KEPT)
def test_nothing_that_a_model_server_kept_is_had_or_changed(alice: Plain, asked: str) -> None:
    method, target = asked.split(" ")
    seen = len(alice.stack.upstream.requests)
    body = json.dumps(HI).encode()
    if method == "POST":
        reply = alice.ask(body, target=target)
    else:
        reply = alice.exactly(alice.head(method=method, target=target), to=method)
    assert reply.refusal == (404, "unknown_path")
    assert "keeps content at the model server" in reply.error["message"]
    assert len(alice.stack.upstream.requests) == seen
    assert data_of(on_record(alice.stack, reply.session), "request.refused")["code"] == "unknown_path"


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "store": ("/v1/responses", HI | {"store": True}),
    "store, in a chat": ("/v1/chat/completions", CHAT | {"store": True}),
    "background": ("/v1/responses", HI | {"background": True}),
    "a response": ("/v1/responses", HI | {"previous_response_id": "resp_of_another"}),
    "a conversation": ("/v1/responses", HI | {"conversation": "conv_of_another"}),
    "a conversation's object": ("/v1/responses", HI | {"conversation": {"id": "conv_of_another"}}),
    "a stored prompt": ("/v1/responses", HI | {"prompt": {"id": "pmpt_1"}}),
    "an item": ("/v1/responses", HI | {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    "an item by nothing but its id": (
        "/v1/responses",
        HI | {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
    ),
    "a response under an id of the caller's": ("/v1/responses", HI | {"request_id": "resp_of_another"}),
    "a request that runs": ("/v1/chat/completions", CHAT | {"rid": "of-another"}),
    "a file": (
        "/v1/responses",
        HI | {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
    ),
    "a vector store": (
        "/v1/responses",
        HI | {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    ),
    "a response, in a chat": ("/v1/chat/completions", CHAT | {"previous_response_id": "resp_of_another"}),
    "a chat's transferred state": ("/v1/chat/completions", CHAT | {"kv_transfer_params": {"id": 1}}),
    "a container": ("/v1/messages", CHAT | {"max_tokens": 9, "container": "cntr_1"}),
    "Ollama's context": ("/api/generate", GENERATE | {"context": [1, 2, 3]}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_neither_keeps_anything_nor_goes_on_with_what_was_kept(alice: Plain, name: str) -> None:
    path, body = REFUSED[name]
    seen = len(alice.stack.upstream.requests)
    reply = alice.ask(json.dumps(body).encode(), target=path)
    assert reply.status == 400, reply
    assert len(alice.stack.upstream.requests) == seen
    assert data_of(on_record(alice.stack, reply.session), "request.refused")["status"] == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", HI | {"store": False}),
        ("/v1/chat/completions", CHAT),
        ("/v1/messages", CHAT | {"max_tokens": 9}),
        ("/api/generate", GENERATE),
    ],
)
def test_the_same_without_it_is_asked(alice: Plain, path: str, body: dict[str, Any]) -> None:
    seen = len(alice.stack.upstream.requests)
    alice.ask(json.dumps(body).encode(), target=path)
    assert [request.path for request in alice.stack.upstream.requests[seen:]] == [path]


def test_ollamas_context_which_is_a_conversation_in_tokens_does_not_reach_the_caller(stack: Stack) -> None:
    answer = {"model": "llama", "response": "Hello.", "done": True, "context": [733, 16289, 28793]}
    stack.upstream.answer_with(whole(answer))
    headers = {"authorization": f"Bearer {stack.token('alice', 'staff')}"}
    got = httpx.post(f"{stack.url}/api/generate", json=GENERATE, headers=headers, timeout=60)
    assert got.json() == answer | {"context": None}
