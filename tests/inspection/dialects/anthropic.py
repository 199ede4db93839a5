"""Anthropic's messages: blocks one after another, each begun and stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.anthropic import Anthropic

_BLOCKS: dict[str, dict[str, Any]] = {
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "text": {"type": "text", "text": ""},
    "input": {"type": "tool_use", "id": "toolu_1", "name": "send_mail", "input": {}},
}
_DELTAS = {
    "thinking": ("thinking_delta", "thinking"),
    "text": ("text_delta", "text"),
    "input": ("input_json_delta", "partial_json"),
}
_START = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "llama"}


def _events(pieces: Sequence[Said]) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 3, "output_tokens": 1}
    yield {"type": "message_start", "message": {**_START, "stop_reason": None, "usage": usage}}
    for index, (name, said) in enumerate(groupby(pieces, key=lambda piece: piece[0])):
        yield {"type": "content_block_start", "index": index, "content_block": _BLOCKS[name]}
        kind, key = _DELTAS[name]
        for _, text in said:
            yield {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: text}}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
    yield {"type": "message_stop"}


def tell(pieces: Sequence[Said]) -> bytes:
    """A message of blocks; pieces of one text that follow each other are one block."""
    return b"".join(event(document, document["type"]) for document in _events(pieces))


def hear(stream: bytes) -> Mapping[str, str]:
    """Each text, joined over its blocks."""
    texts = dict.fromkeys(ANTHROPIC.fields, "")
    for document in documents(stream):
        if document["type"] == "content_block_delta":
            kind = document["delta"]["type"]
            name, key = next((n, k) for n, (t, k) in _DELTAS.items() if t == kind)
            texts[name] += document["delta"][key]
    return texts


ANTHROPIC = Dialect(
    Anthropic(), "messages", ("thinking", "text", "input"), tell, hear, arguments="input", in_turn=True
)
