"""Errors as the official SDK understands them: whole, and in the middle of a stream."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest

from authz_service.model_apis.base import ApiError
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.registry import models_list

CHAT = OpenAiChat()
ERROR = ApiError(
    status=403,
    code="rejected",
    message='A reviewer said "no":\nnot today.',
    session="s-1",
    details={"hold": "h-1", "message": "not this one", "code": "nor this"},
)


def sdk(status: int, body: bytes, content_type: str) -> openai.OpenAI:
    """The SDK, before a server that always answers this."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(base_url="http://x/v1", api_key="k", http_client=client, max_retries=0)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    with client:
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], **more)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_the_sdk_raises_our_message_and_code(status: int, kind: type[openai.APIStatusError]) -> None:
    body = CHAT.error_body(ApiError(status, "some_code", "What happened.", session="s-1"))
    with pytest.raises(kind, match=r"What happened\.") as caught:
        ask(sdk(status, body, "application/json"))
    assert caught.value.code == "some_code"
    assert caught.value.type
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["session"] == "s-1"


def test_the_sdk_raises_our_message_and_code_in_the_middle_of_a_stream() -> None:
    first = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    client = sdk(200, first + CHAT.error_event(ERROR), "text/event-stream")
    with client:
        messages: Any = [{"role": "user", "content": "hi"}]
        stream = client.chat.completions.create(model="m", messages=messages, stream=True)
        assert next(stream).choices[0].delta.content == "Hel"
        with pytest.raises(openai.APIError, match="A reviewer said") as caught:
            next(stream)
    assert (caught.value.code, caught.value.body["hold"]) == ("rejected", "h-1")  # type: ignore[index]


def test_details_stand_beside_the_fields_of_the_dialect_and_never_replace_them() -> None:
    error = json.loads(CHAT.error_body(ERROR))["error"]
    assert error == {
        "message": 'A reviewer said "no":\nnot today.',
        "type": "permission_error",
        "param": None,
        "code": "rejected",
        "session": "s-1",
        "hold": "h-1",
    }


def test_an_error_event_is_one_event_whatever_its_message_says() -> None:
    event = CHAT.error_event(ApiError(500, "c", "a\n\ndata: [DONE]\r\n\u2028"))
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert b"\r" not in event


def test_the_sdk_reads_the_list_of_models() -> None:
    with sdk(200, models_list(["a", "b"], created=1), "application/json") as client:
        assert [model.id for model in client.models.list()] == ["a", "b"]
