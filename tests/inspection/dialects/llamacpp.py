"""llama.cpp's own API: one text, and at its end what was asked once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.llamacpp import LlamaCpp

_END = {"index": 0, "content": "", "tokens": [], "stop": True, "prompt": "Hello", "stop_type": "eos"}


def tell(pieces: Sequence[Said]) -> bytes:
    """An event for each piece, and the one that sums up."""
    events = (event({"index": 0, "content": text, "stop": False}) for _, text in pieces)
    return b"".join(events) + event(_END)


def hear(stream: bytes) -> Mapping[str, str]:
    """The text, joined."""
    return {"content": "".join(document["content"] for document in documents(stream))}


LLAMACPP = Dialect(LlamaCpp(), "completion", ("content",), tell, hear)
