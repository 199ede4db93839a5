"""Where else streams have text: events with a hole in the place of a field, in pieces or in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.coverage.fields import HOLE, JSON_HOLE


def _delta(**said: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": said, "finish_reason": None}]}


def _choice(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, **said}]}


def _response(name: str, **said: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", "item_id": "i", "output_index": 0, **said}


def _block(**said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": said}


def _ollama(**said: Any) -> dict[str, Any]:
    return {"model": "llama", "done": False, **said}


UNNAMED = "unknown field, in pieces"
"""Masked whether the next event goes on with it or not; a placeholder in pieces stays one."""

_V2 = "/v2/models/llama"
_CALL = {"function": {"name": "find", "arguments": {"a": HOLE}}}
_CUSTOM = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "find", "input": HOLE}}
_ERROR = {"error": {"message": HOLE, "type": "server_error"}}

IN_PIECES: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {
        "refusal": _delta(refusal=HOLE),
        "reasoning": _delta(reasoning=HOLE),
        "part of the content": _delta(content=[{"index": 0, "type": "text", "text": HOLE}]),
        "custom tool's input": _delta(tool_calls=[_CUSTOM]),
        "function call's arguments": _delta(function_call={"arguments": JSON_HOLE}),
        UNNAMED: _delta(future=HOLE),
    },
    "/v1/completions": {UNNAMED: _choice(text="", future=HOLE)},
    "/v1/responses": {
        "refusal": _response("refusal.delta", content_index=0, delta=HOLE),
        "MCP call's arguments": _response("mcp_call_arguments.delta", delta=JSON_HOLE),
        "code": _response("code_interpreter_call_code.delta", delta=HOLE),
        "transcript": _response("audio.transcript.delta", delta=HOLE),
    },
    "/v1/messages": {UNNAMED: _block(type="text_delta", text="", future=HOLE)},
    "/api/chat": {UNNAMED: _ollama(message={"role": "assistant", "content": "", "future": HOLE})},
    "/api/generate": {UNNAMED: _ollama(response="", future=HOLE)},
    "/completion": {UNNAMED: {"index": 0, "content": "", "stop": False, "future": HOLE}},
    f"{_V2}/generate_stream": {UNNAMED: {"text_output": "", "future": HOLE}},
}
"""What one event says a piece of, and the next goes on with."""

BEGINNINGS: Mapping[str, Any] = {
    "/v1/messages": {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": "", "future": ""},
    }
}
"""What a stream says before them, with nothing in the field."""

AT_ONCE: Mapping[str, Mapping[str, Any]] = {
    "/v1/chat/completions": {"beside the choices": {**_delta(content="a"), "future": HOLE}, "error": _ERROR},
    "/v1/completions": {"beside the choices": {**_choice(text="a"), "future": HOLE}, "error": _ERROR},
    "/v1/responses": {"error": {"type": "error", "code": "server_error", "message": HOLE, "param": None}},
    "/v1/messages": {"error": {"type": "error", **_ERROR}},
    "/api/chat": {
        "tool call's arguments": _ollama(message={"role": "assistant", "content": "", "tool_calls": [_CALL]}),
        "error": {"error": HOLE},
    },
    "/api/generate": {"error": {"error": HOLE}},
    "/completion": {"error": _ERROR},
    "/infill": {"error": _ERROR},
    "/generate_stream": {
        "unknown field": {"token": {"text": "a"}, "future": HOLE},
        "error": {"error": HOLE, "error_type": "generation"},
    },
    f"{_V2}/infer_stream": {"error": {"error": HOLE}},
    f"{_V2}/generate_stream": {"error": {"error": HOLE}},
}
"""What one event says whole."""
