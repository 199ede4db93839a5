"""Which adapter owns a method and path, and what is answered from the configuration alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.openai_chat import OpenAiChat

OPENAI_CHAT = OpenAiChat()
ADAPTERS: tuple[ModelApi, ...] = (OPENAI_CHAT,)

MODELS_PATH = "/v1/models"
"""GET answers with `models_list`; no model server is asked."""

_OPERATIONS = {
    (operation.method, operation.path): (adapter, operation)
    for adapter in ADAPTERS
    for operation in adapter.operations
}
_BY_PATH = {path: adapter for (_, path), (adapter, _) in _OPERATIONS.items()}


def find_operation(method: str, path: str) -> tuple[ModelApi, Operation] | None:
    """The adapter and operation of exactly this method and path (without query), or None."""
    return _OPERATIONS.get((method, path))


def error_shape(path: str) -> ModelApi:
    """The dialect in which to say an error to whoever called `path`; OpenAI's where none owns it."""
    return _BY_PATH.get(path, OPENAI_CHAT)


def models_list(models: Sequence[str], created: int) -> bytes:
    """The body of GET /v1/models. `created` is in seconds since the epoch."""
    data = [
        {"id": name, "object": "model", "created": created, "owned_by": "authz-service"} for name in models
    ]
    return json.dumps({"object": "list", "data": data}, ensure_ascii=False, separators=(",", ":")).encode()
