"""Who asks for an API that is known and not carried reads what it is."""

from __future__ import annotations

import pytest

from authz_service.model_apis.registry import ADAPTERS, find_operation
from authz_service.model_apis.unsupported import has_results, why_unsupported


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/realtime", "WebSockets"),
        ("/v1/realtime/sessions", "WebSockets"),
        ("/v1/responses/resp_1", "POST /v1/responses"),
        ("/v1/responses/resp_1/cancel", "POST /v1/responses"),
        ("/v1/responses/compact", "Compacting"),
        ("/v1/chat/completions/chatcmpl-1", "stored"),
        ("/tokenize", "tokens"),
        ("/V1/Rerank", "Reranking"),
        ("/v1/files/file_1/content", "files"),
        ("/v1/messages/batches", "batches"),
        ("/api/blobs/sha256:1", "operators"),
        ("/api/tags", "GET /v1/models"),
        ("/v2/repository/models/m/load", "operators"),
        ("/inference.GRPCInferenceService/ModelInfer", "gRPC"),
        ("/v1/images/generations", "media"),
        ("/", "POST /generate"),
    ],
)
def test_a_known_path_says_what_it_is(path: str, word: str) -> None:
    assert find_operation("POST", path) is None
    assert word in why_unsupported(path)
    assert why_unsupported(path).endswith(".")


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/filesystem", "/v1x/files", "//", "", "/healthz"])
def test_an_unknown_path_says_nothing(path: str) -> None:
    assert why_unsupported(path) == ""


def test_no_path_that_is_carried_is_said_not_to_be() -> None:
    carried = {operation.path for adapter in ADAPTERS for operation in adapter.operations}
    said = {path for path in carried if why_unsupported(path)}
    assert said <= {path for path in carried if path.startswith(("/v1/responses", "/v1/chat", "/v1/audio"))}


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/responses", "/v1/responses/resp_1", "/responses", "/openai/responses", "/V1/Responses/"),
        *(
            "/v1/openai/v1/responses",
            "/v1/openai/v1/conversations/c/items",
            "/api/projects/p/openai/responses",
        ),
        *("/v1/chat/completions", "/openai/v1/chat/completions", "/v1/threads/t/messages", "/v1/assistants"),
        *(
            "/v1/evals",
            "/v1/fine_tuning/jobs",
            "/v1/files",
            "/v1/files/f/content",
            "/openai/v1/files",
            "/v1/uploads",
            "/v1/vector_stores/v/files",
        ),
        *("/v1/containers/c/files", "/v1/batches", "/v1/messages/batches", "/slots", "/slots/0"),
    ],
)
def test_a_path_to_what_a_server_keeps_of_callers_is_known_under_any_prefix(path: str) -> None:
    assert has_results(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models", "/v1/realtime", "/v1/images/generations", "/health", "/metrics", "/", "/v1"),
        *("/docs/files", "/v1/files2", "/tokenize", "/api/tags", "/api/ps", "/v1/messages/count", "/chat"),
    ],
)
def test_other_paths_may_pass_unread(path: str) -> None:
    assert not has_results(path)
