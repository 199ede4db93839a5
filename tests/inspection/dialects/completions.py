"""OpenAI's legacy completions: the texts of choices, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.openai_completions import OpenAiCompletions

_HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "llama"}
_INDEXES = {"first": 0, "second": 1}


def tell(pieces: Sequence[Said]) -> bytes:
    """An event for each piece, and the mark of the end."""
    choices = ({"text": text, "index": _INDEXES[name], "logprobs": None} for name, text in pieces)
    events = (event({**_HEAD, "choices": [{**choice, "finish_reason": None}]}) for choice in choices)
    return b"".join(events) + b"data: [DONE]\n\n"


def hear(stream: bytes) -> Mapping[str, str]:
    """Each choice's text, joined."""
    texts = dict.fromkeys(COMPLETIONS.fields, "")
    for document in documents(stream):
        for choice in document["choices"]:
            texts[COMPLETIONS.fields[choice["index"]]] += choice["text"]
    return texts


COMPLETIONS = Dialect(OpenAiCompletions(), "completions", ("first", "second"), tell, hear)
