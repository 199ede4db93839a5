"""OpenAI's chat completions: choices side by side, thoughts before the answer, a tool call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.openai_chat import OpenAiChat

_HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "llama"}


def _delta(name: str, text: str) -> dict[str, Any]:
    match name:
        case "arguments":
            said: dict[str, Any] = {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
        case "second":
            return {"index": 1, "delta": {"content": text}, "finish_reason": None}
        case "reasoning_content":  # of a choice of its own: an answer may overtake its own thoughts
            return {"index": 2, "delta": {name: text}, "finish_reason": None}
        case _:
            said = {name: text}
    return {"index": 0, "delta": said, "finish_reason": None}


def tell(pieces: Sequence[Said]) -> bytes:
    """An event for each piece, and the mark of the end."""
    events = (event({**_HEAD, "choices": [_delta(name, text)]}) for name, text in pieces)
    return b"".join(events) + b"data: [DONE]\n\n"


def hear(stream: bytes) -> Mapping[str, str]:
    """Each text, joined."""
    texts = dict.fromkeys(CHAT.fields, "")
    for document in documents(stream):
        for choice in document["choices"]:
            delta = choice["delta"]
            texts["second" if choice["index"] else "content"] += delta.get("content", "")
            texts["reasoning_content"] += delta.get("reasoning_content", "")
            for call in delta.get("tool_calls", ()):
                texts["arguments"] += call["function"]["arguments"]
    return texts


CHAT = Dialect(
    OpenAiChat(),
    "chat_completions",
    ("reasoning_content", "content", "second", "arguments"),
    tell,
    hear,
    arguments="arguments",
)
