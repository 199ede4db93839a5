"""What a person says in the place of a model, as an Anthropic message."""

from __future__ import annotations

from typing import Any

from authz_service.model_apis.base import OwnAnswer, Said
from authz_service.model_apis.own_answer import events, whole
from authz_service.view.request import RequestView


def said_in_messages(request: RequestView, said: Said) -> OwnAnswer:
    """A message, or its events."""
    message: dict[str, Any] = {
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    block = {"type": "text", "text": said.text}
    if not request.stream:
        return whole(message | {"content": [block], "stop_reason": "end_turn"})
    return events(
        [
            {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": block | {"text": ""}},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": said.text},
            },
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 0},
            },
            {"type": "message_stop"},
        ],
        named=True,
    )
