"""Which adapter owns a method and path, and what is answered from the configuration alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from authz_service.model_apis.anthropic import Anthropic
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.llamacpp import LlamaCpp
from authz_service.model_apis.ollama import Ollama
from authz_service.model_apis.open_inference import OpenInference
from authz_service.model_apis.openai_audio import OpenAiAudio
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_completions import OpenAiCompletions
from authz_service.model_apis.openai_embeddings import OpenAiEmbeddings
from authz_service.model_apis.openai_responses import OpenAiResponses
from authz_service.model_apis.tgi import Tgi

OPENAI_CHAT = OpenAiChat()
_ANTHROPIC, _OLLAMA, _OPEN_INFERENCE = Anthropic(), Ollama(), OpenInference()
ADAPTERS: tuple[ModelApi, ...] = (
    OPENAI_CHAT,
    OpenAiCompletions(),
    OpenAiEmbeddings(),
    OpenAiAudio(),
    OpenAiResponses(),
    _ANTHROPIC,
    _OLLAMA,
    LlamaCpp(),
    Tgi(),
    _OPEN_INFERENCE,
)
_FAMILIES: tuple[tuple[str, ModelApi], ...] = (
    ("/v1/messages/", _ANTHROPIC),
    ("/api/", _OLLAMA),
    ("/v2/models/", _OPEN_INFERENCE),
    ("/v2/repository/", _OPEN_INFERENCE),
)
"""Below these paths a dialect has more than its adapter owns."""

MODELS_PATH = "/v1/models"
"""GET answers with `models_list`; no model server is asked."""

_MODEL = "{model}"
_NAME = r"(?P<model>[A-Za-z0-9_][A-Za-z0-9_.:@~-]*)"
"""A model's name in a path: one segment, nothing that a server would decode or take as a way up."""

_VERSION = "{version}"
_NUMBER = r"[0-9]{1,9}"


class Routes:
    """Which adapter owns which method and path."""

    def __init__(self, adapters: Sequence[ModelApi]) -> None:
        self._exact: dict[str, dict[str, tuple[ModelApi, Operation]]] = {}
        self._naming: list[tuple[re.Pattern[str], ModelApi, Operation]] = []
        for adapter in adapters:
            for operation in adapter.operations:
                if _MODEL in operation.path:
                    pattern = re.escape(operation.path).replace(re.escape(_MODEL), _NAME)
                    pattern = pattern.replace(re.escape(_VERSION), _NUMBER)
                    self._naming.append((re.compile(pattern), adapter, operation))
                else:
                    self._exact.setdefault(operation.path, {})[operation.method] = adapter, operation

    def find(self, method: str, path: str) -> tuple[ModelApi, Operation] | None:
        """The adapter and operation of exactly this method and path (without query), or None."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact.get(method)
        for pattern, adapter, operation in self._naming:
            named = pattern.fullmatch(path)
            if named is not None and operation.method == method:
                return adapter, replace(operation, path=path, model=named["model"])
        return None

    def owner(self, path: str) -> ModelApi | None:
        """The adapter that a path belongs to, whatever the method."""
        for adapter, _ in self._exact.get(path, {}).values():
            return adapter
        return next((adapter for pattern, adapter, _ in self._naming if pattern.fullmatch(path)), None)


class OwnedPaths(frozenset[str]):
    """Paths in lower case. Those of operations are among them in any letters, and for any model's name."""

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or (isinstance(path, str) and _OWNED.fullmatch(path) is not None)


def _any_letters(adapters: Sequence[ModelApi]) -> re.Pattern[str]:
    """Every path of the adapters, with any segment in the place of one that is a name or a number."""
    paths = {re.escape(operation.path) for adapter in adapters for operation in adapter.operations}
    segments = {re.escape(_MODEL): "[^/]*", re.escape(_VERSION): "[^/]*"}
    for placeholder, segment in segments.items():
        paths = {path.replace(placeholder, segment) for path in paths}
    return re.compile("|".join(sorted(paths)), re.IGNORECASE)


_ROUTES = Routes(ADAPTERS)
_OWNED = _any_letters(ADAPTERS)


def find_operation(method: str, path: str) -> tuple[ModelApi, Operation] | None:
    """The adapter and operation of exactly this method and path (without query), or None."""
    return _ROUTES.find(method, path)


def operation_named(api: str, name: str) -> tuple[ModelApi, Operation] | None:
    """An adapter and its operation by their names, as holds have them; the path may stand for many."""
    for adapter in ADAPTERS:
        for operation in adapter.operations:
            if (adapter.name, operation.name) == (api, name):
                return adapter, operation
    return None


def error_shape(path: str) -> ModelApi:
    """The dialect in which to say an error to whoever called `path`.

    OpenAI's, unless another owns the path, or has others below the same one.
    """
    kin = (api for below, api in _FAMILIES if path.startswith(below))
    return _ROUTES.owner(path) or next(kin, OPENAI_CHAT)


def models_list(models: Sequence[str], created: int) -> bytes:
    """The body of GET /v1/models. `created` is in seconds since the epoch."""
    data = [
        {"id": name, "object": "model", "created": created, "owned_by": "authz-service"} for name in models
    ]
    return json.dumps({"object": "list", "data": data}, ensure_ascii=False, separators=(",", ":")).encode()
