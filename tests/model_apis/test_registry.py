"""Which adapter owns a path, and the list of models."""

from __future__ import annotations

import json

from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS
from authz_service.model_apis.registry import (
    ADAPTERS,
    MODELS_PATH,
    OPENAI_CHAT,
    error_shape,
    find_operation,
    models_list,
)


def test_an_operation_is_found_by_its_exact_method_and_path() -> None:
    assert find_operation("POST", "/v1/chat/completions") == (OPENAI_CHAT, CHAT_COMPLETIONS)


def test_nothing_but_the_exact_method_and_path_is_found() -> None:
    for method, path in (
        ("GET", "/v1/chat/completions"),
        ("post", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/Completions"),
        ("POST", "/v1/chat/completions?x=1"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", ""),
    ):
        assert find_operation(method, path) is None


def test_every_adapters_operations_bear_its_name() -> None:
    assert all(operation.api == adapter.name for adapter in ADAPTERS for operation in adapter.operations)


def test_errors_for_unknown_paths_have_openais_shape() -> None:
    assert error_shape("/v1/chat/completions") is error_shape("/anything") is OPENAI_CHAT


def test_the_list_of_models_is_openais() -> None:
    document = json.loads(models_list(["llama", "gpt-4o"], created=5))
    assert document["object"] == "list"
    assert [model["id"] for model in document["data"]] == ["llama", "gpt-4o"]
    assert {(model["object"], model["created"]) for model in document["data"]} == {("model", 5)}
    assert MODELS_PATH == "/v1/models"
