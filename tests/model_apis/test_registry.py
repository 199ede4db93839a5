"""Which adapter owns a path, and the list of models."""

from __future__ import annotations

import json

import pytest

from authz_service.model_apis.base import Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.model_apis.registry import (
    ADAPTERS,
    MODELS_PATH,
    OPENAI_CHAT,
    OwnedPaths,
    Routes,
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
        ("POST", "/v1/images/generations"),
        ("POST", ""),
    ):
        assert find_operation(method, path) is None


def test_every_adapters_operations_bear_its_name() -> None:
    assert all(operation.api == adapter.name for adapter in ADAPTERS for operation in adapter.operations)


def test_errors_for_unknown_paths_have_openais_shape() -> None:
    assert error_shape("/v1/chat/completions") is error_shape("/anything") is OPENAI_CHAT
    for path, name in {
        "/v1/messages/batches": "anthropic",
        "/api/pull": "ollama",
        "/v2/repository/index": "open_inference",
        "/v1/files": OPENAI_CHAT.name,
        "/v2/chat/completions": OPENAI_CHAT.name,
        "/v2/models/llama/infer": "open_inference",
        "/generate_stream": "tgi",
    }.items():
        assert error_shape(path).name == name


def test_the_list_of_models_is_openais() -> None:
    document = json.loads(models_list(["llama", "gpt-4o"], created=5))
    assert document["object"] == "list"
    assert [model["id"] for model in document["data"]] == ["llama", "gpt-4o"]
    assert {(model["object"], model["created"]) for model in document["data"]} == {("model", 5)}
    assert MODELS_PATH == "/v1/models"


class TwoOperations(OpenAiChat):
    """An adapter that names the model in one of its paths."""

    operations: tuple[Operation, ...] = (
        Operation("two", "infer", "POST", "/v2/models/{model}/infer"),
        Operation("two", "tokens", "POST", "/v2/tokens"),
        Operation("two", "count", "GET", "/v2/tokens"),
    )


TWO = TwoOperations()
ROUTES = Routes((OPENAI_CHAT, TWO))


@pytest.mark.parametrize("name", ["llama", "llama3.1:8b", "my_model-v2", "7", "a@b", "_x"])
def test_a_path_may_name_the_model(name: str) -> None:
    path = f"/v2/models/{name}/infer"
    assert ROUTES.find("POST", path) == (TWO, Operation("two", "infer", "POST", path, model=name))
    assert ROUTES.find("GET", path) is None
    assert ROUTES.owner(path) is TWO


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a%2Fb", "a%00", "a b", "a;b", "a\n", "é", "{model}"]
)
def test_a_name_that_a_server_might_read_differently_is_nobodys_path(name: str) -> None:
    path = f"/v2/models/{name}/infer"
    assert ROUTES.find("POST", path) is None
    assert ROUTES.owner(path) is None


def test_a_pattern_is_the_whole_path_and_its_other_letters_stand_for_themselves() -> None:
    for path in ("/v2/models/a/infer/", "/v2/models/a/infer\n", "/x/v2/models/a/infer", "/v2/models/a/Infer"):
        assert ROUTES.find("POST", path) is None


def test_an_adapter_has_an_operation_for_each_method_of_a_path() -> None:
    found = [ROUTES.find(method, "/v2/tokens") for method in ("POST", "GET", "PUT")]
    assert [operation and operation[1].name for operation in found] == ["tokens", "count", None]
    assert ROUTES.owner("/v2/tokens") is TWO


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/chat/completions",
        "/V1/Chat/Completions",
        "/v2/models/llama/infer",
        "/V2/Models/%2e/Infer",
        "/v2/models/a/versions/one/infer",
        *(operation.path for adapter in ADAPTERS for operation in adapter.operations),
    ],
)
def test_a_path_that_an_adapter_reads_is_owned_in_any_letters_and_for_any_name(path: str) -> None:
    assert path in OwnedPaths({"/v1/models"})


@pytest.mark.parametrize(
    "path", ["/health", "/v1/chat", "/v2/models/a/b/infer", "/x/v1/chat/completions", ""]
)
def test_other_paths_are_nobodys(path: str) -> None:
    assert path not in OwnedPaths({"/v1/models"})
