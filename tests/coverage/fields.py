"""Where each model API has text: documents with a hole in the place of each field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FORMS: Mapping[str, tuple[str, ...]] = {
    "/v1/audio/transcriptions": ("prompt", "hotwords", "unknown_field"),
    "/v1/audio/translations": ("prompt",),
}
"""Fields of forms, which have no document."""

HOLE = "\0"
"""Stands for the text in a document."""
JSON_HOLE = "\1"
"""Stands for a JSON document in a string, with the text in it."""

SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "description": HOLE}}}
CALL = {"name": "find", "arguments": JSON_HOLE}
CALLED = [{"id": "c", "type": "function", "function": CALL}]


def _user(content: Any = "Hello") -> dict[str, Any]:
    return {"role": "user", "content": content}


def _chat(**more: Any) -> dict[str, Any]:
    return {"model": "llama", "messages": [_user()], **more}


def _said(*messages: dict[str, Any]) -> dict[str, Any]:
    return _chat(messages=[_user(), *messages])


def _tool(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "find", **more}}


def _input(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "llama", "input": [*items] or "Hello", **more}


def _messages(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "llama", "max_tokens": 9, "messages": [*messages] or [_user()], **more}


def _tensor(**more: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Hello"], **more}


_V2 = "/v2/models/llama"
_USE = {"type": "tool_use", "id": "t", "name": "find", "input": {"a": HOLE}}

REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {
        "system message": _said({"role": "system", "content": HOLE}),
        "user message": _said(_user(HOLE)),
        "text part": _said(_user([{"type": "text", "text": HOLE}])),
        "tool call's arguments": _said({"role": "assistant", "tool_calls": CALLED}),
        "tool's result": _said({"role": "tool", "tool_call_id": "c", "content": HOLE}),
        "reasoning sent back": _said({"role": "assistant", "content": "a", "reasoning_content": HOLE}),
        "name": _said({**_user(), "name": HOLE}),
        "tool's description": _chat(tools=[_tool(description=HOLE)]),
        "tool's schema": _chat(tools=[_tool(parameters=SCHEMA)]),
        "stop": _chat(stop=[HOLE]),
        "prediction": _chat(prediction={"type": "content", "content": HOLE}),
        "response format": _chat(
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
        ),
        "guided_json": _chat(guided_json=SCHEMA),
        "guided_choice": _chat(guided_choice=[HOLE, "a"]),
        "metadata": _chat(metadata={"a": HOLE}),
        "user": _chat(user=HOLE),
        "unknown field": _chat(future={"a": [{"b": HOLE}]}),
    },
    "/v1/completions": {
        "prompt": {"model": "llama", "prompt": HOLE},
        "prompts": {"model": "llama", "prompt": ["Hello", HOLE]},
        "suffix": {"model": "llama", "prompt": "Hello", "suffix": HOLE},
        "stop": {"model": "llama", "prompt": "Hello", "stop": [HOLE]},
        "unknown field": {"model": "llama", "prompt": "Hello", "future": HOLE},
    },
    "/v1/embeddings": {
        "input": {"model": "llama", "input": HOLE},
        "inputs": {"model": "llama", "input": ["Hello", HOLE]},
        "unknown field": {"model": "llama", "input": "Hello", "future": HOLE},
    },
    "/v1/responses": {
        "input": {"model": "llama", "input": HOLE},
        "instructions": _input(instructions=HOLE),
        "input message": _input(_user(HOLE)),
        "text part": _input(_user([{"type": "input_text", "text": HOLE}])),
        "function call's arguments": _input({"type": "function_call", "call_id": "c", **CALL}),
        "function's output": _input({"type": "function_call_output", "call_id": "c", "output": HOLE}),
        "tool's description": _input(tools=[{"type": "function", "name": "find", "description": HOLE}]),
        "tool's schema": _input(tools=[{"type": "function", "name": "find", "parameters": SCHEMA}]),
        "metadata": _input(metadata={"a": HOLE}),
        "unknown field": _input(future=HOLE),
    },
    "/v1/messages": {
        "system": _messages(system=HOLE),
        "system block": _messages(system=[{"type": "text", "text": HOLE}]),
        "user message": _messages(_user(HOLE)),
        "text block": _messages(_user([{"type": "text", "text": HOLE}])),
        "tool use's input": _messages({"role": "assistant", "content": [_USE]}),
        "tool's result": _messages(
            _user([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": HOLE}]}])
        ),
        "tool's description": _messages(tools=[{"name": "find", "description": HOLE, "input_schema": {}}]),
        "tool's schema": _messages(tools=[{"name": "find", "input_schema": SCHEMA}]),
        "stop_sequences": _messages(stop_sequences=[HOLE]),
        "metadata": _messages(metadata={"user_id": HOLE}),
        "unknown field": _messages(future=HOLE),
    },
    "/v1/messages/count_tokens": {"user message": _messages(_user(HOLE))},
    "/api/chat": {
        "message": _said(_user(HOLE)),
        "thinking sent back": _said({"role": "assistant", "content": "a", "thinking": HOLE}),
        "tool's description": _chat(tools=[_tool(description=HOLE)]),
        "options.stop": _chat(options={"stop": [HOLE]}),
        "unknown field": _chat(future=HOLE),
    },
    "/api/generate": {
        "prompt": {"model": "llama", "prompt": HOLE},
        "system": {"model": "llama", "prompt": "Hello", "system": HOLE},
        "suffix": {"model": "llama", "prompt": "Hello", "suffix": HOLE},
    },
    "/api/embed": {
        "input": {"model": "llama", "input": HOLE},
        "inputs": {"model": "llama", "input": ["Hello", HOLE]},
    },
    "/api/embeddings": {"prompt": {"model": "llama", "prompt": HOLE}},
    "/completion": {
        "prompt": {"prompt": HOLE},
        "prompts": {"prompt": ["Hello", HOLE]},
        "stop": {"prompt": "Hello", "stop": [HOLE]},
        "grammar": {"prompt": "Hello", "grammar": HOLE},
        "unknown field": {"prompt": "Hello", "future": HOLE},
    },
    "/infill": {
        "input_prefix": {"input_prefix": HOLE, "input_suffix": "a"},
        "input_suffix": {"input_prefix": "a", "input_suffix": HOLE},
        "input_extra": {"input_prefix": "a", "input_extra": [{"filename": "f", "text": HOLE}]},
    },
    "/generate": {
        "inputs": {"inputs": HOLE},
        "parameters.stop": {"inputs": "Hello", "parameters": {"stop": [HOLE]}},
        "unknown field": {"inputs": "Hello", "future": HOLE},
    },
    "/generate_stream": {"inputs": {"inputs": HOLE}},
    f"{_V2}/infer": {
        "tensor": {"inputs": [_tensor(data=[HOLE])]},
        "tensor's parameters": {"inputs": [_tensor(parameters={"a": HOLE})]},
        "parameters": {"inputs": [_tensor()], "parameters": {"a": HOLE}},
    },
    f"{_V2}/infer_stream": {"tensor": {"inputs": [_tensor(data=[HOLE])]}},
    f"{_V2}/generate": {
        "tensor": {"inputs": [_tensor(data=[HOLE])]},
        "text_input": {"text_input": HOLE},
        "parameters": {"text_input": "Hello", "parameters": {"stop_words": HOLE}},
    },
    f"{_V2}/generate_stream": {"text_input": {"text_input": HOLE}},
}


def _choice(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": "stop", **said}]}


def _message(**said: Any) -> dict[str, Any]:
    return _choice(message={"role": "assistant", "content": "a", **said})


def _block(**said: Any) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "model": "llama", "content": [said], "usage": {}}


def _output(**item: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "status": "completed", "output": [{"id": "i", **item}]}


def _part(**part: Any) -> dict[str, Any]:
    return _output(type="message", role="assistant", status="completed", content=[part])


def _ollama(**said: Any) -> dict[str, Any]:
    return {"model": "llama", "message": {"role": "assistant", "content": "a", **said}, "done": True}


ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {
        "content": _message(content=HOLE),
        "part of the content": _message(
            content=[{"type": "text", "text": HOLE}, {"type": "text", "text": "a"}]
        ),
        "reasoning_content": _message(reasoning_content=HOLE),
        "refusal": _message(refusal=HOLE),
        "tool call's arguments": _message(tool_calls=CALLED),
        "custom tool's input": _message(
            tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "a", "input": HOLE}}]
        ),
        "function call's arguments": _message(function_call=CALL),
        "unknown field": _message(future={"a": [HOLE]}),
        "beside the choices": {**_message(), "future": HOLE},
        "error": {"error": {"message": HOLE, "type": "server_error"}},
    },
    "/v1/completions": {"text": _choice(text=HOLE), "unknown field": _choice(text="a", future=HOLE)},
    "/v1/embeddings": {"beside the vectors": {"object": "list", "data": [], "future": HOLE}},
    "/v1/responses": {
        "output_text": _part(type="output_text", text=HOLE, annotations=[]),
        "refusal": _part(type="refusal", refusal=HOLE),
        "reasoning": _output(
            type="reasoning", summary=[{"type": "summary_text", "text": HOLE}], status="completed"
        ),
        "function call's arguments": _output(type="function_call", call_id="c", status="completed", **CALL),
        "custom tool's input": _output(
            type="custom_tool_call", call_id="c", name="a", status="completed", input=HOLE
        ),
    },
    "/v1/messages": {
        "text": _block(type="text", text=HOLE),
        "thinking": _block(type="thinking", thinking=HOLE, signature="a"),
        "tool use's input": _block(**_USE),
    },
    "/v1/messages/count_tokens": {"unknown field": {"input_tokens": 3, "future": HOLE}},
    "/api/chat": {
        "content": _ollama(content=HOLE),
        "thinking": _ollama(thinking=HOLE),
        "tool call's arguments": _ollama(
            tool_calls=[{"function": {"name": "find", "arguments": {"a": HOLE}}}]
        ),
    },
    "/api/generate": {
        "response": {"model": "llama", "response": HOLE, "done": True},
        "thinking": {"model": "llama", "response": "a", "thinking": HOLE, "done": True},
    },
    "/api/embed": {"unknown field": {"model": "llama", "embeddings": [[0.5]], "future": HOLE}},
    "/api/embeddings": {"unknown field": {"embedding": [0.5], "future": HOLE}},
    "/completion": {"content": {"content": HOLE}, "unknown field": {"content": "a", "future": HOLE}},
    "/infill": {"content": {"content": HOLE}},
    "/v1/audio/transcriptions": {"text": {"text": HOLE}, "unknown field": {"text": "a", "future": HOLE}},
    "/v1/audio/translations": {"text": {"text": HOLE}},
    "/generate": {"generated_text": {"generated_text": HOLE}, "error": {"error": HOLE}},
    f"{_V2}/infer": {"tensor": {"model_name": "llama", "outputs": [_tensor(data=[HOLE])]}},
    f"{_V2}/generate": {"text_output": {"model_name": "llama", "text_output": HOLE}},
}


def holes(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a document has a hole."""
    if document in (HOLE, JSON_HOLE):
        yield path
    members = document.items() if isinstance(document, dict) else ()
    for key, value in members or (enumerate(document) if isinstance(document, list) else ()):
        yield from holes(value, (*path, key))
