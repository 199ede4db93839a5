"""Ollama's chat: lines of JSON, thoughts and then the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tests.inspection.dialects.base import Dialect, Said, compact

from authz_service.model_apis.ollama import Ollama

_HEAD = {"model": "llama", "created_at": "2026-01-01T00:00:00Z"}
_END = {"done": True, "done_reason": "stop", "total_duration": 5191566416, "eval_count": 9}


def tell(pieces: Sequence[Said]) -> bytes:
    """A line for each piece, and the one that sums up."""
    said = [{"role": "assistant", "content": "", name: text} for name, text in pieces]
    lines = [compact({**_HEAD, "message": message, "done": False}) for message in said]
    end = compact({**_HEAD, "message": {"role": "assistant", "content": ""}, **_END})
    return "".join(f"{line}\n" for line in [*lines, end]).encode()


def hear(stream: bytes) -> Mapping[str, str]:
    """Each text, joined."""
    messages = [json.loads(line)["message"] for line in stream.decode().split("\n") if line]
    return {name: "".join(message.get(name, "") for message in messages) for name in OLLAMA.fields}


OLLAMA = Dialect(Ollama(), "chat", ("thinking", "content"), tell, hear, content_type="application/x-ndjson")
