"""What a person says in the place of a model, as Ollama answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from authz_service.model_apis.base import OwnAnswer, Said
from authz_service.model_apis.own_answer import lines, whole
from authz_service.view.request import RequestView


def said_in_ollama(request: RequestView, said: Said) -> OwnAnswer:
    """One object that is done, or a line with the text and one that ends it."""
    created = datetime.fromtimestamp(said.created, UTC).isoformat().replace("+00:00", "Z")
    head = {"model": request.model, "created_at": created}
    done = {"done": True, "done_reason": "stop"}
    if not request.stream:
        return whole(head | _carrier(request, said.text) | done)
    return lines([head | _carrier(request, said.text) | {"done": False}, head | _carrier(request, "") | done])


def _carrier(request: RequestView, text: str) -> dict[str, Any]:
    if request.operation == "chat":
        return {"message": {"role": "assistant", "content": text}}
    return {"response": text}
