"""Text Generation Inference's own API: nothing goes by unseen, in its tokens or in the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.request_unread import MOST_UNREAD
from authz_service.model_apis.tgi import GENERATE, GENERATE_STREAM, Tgi
from authz_service.model_apis.tgi_errors import tgi_error, tgi_error_event
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import RequestView
from authz_service.view.unread import Kind, require_permitted


def read(**body: Any) -> RequestView:
    return read_by_default(Tgi(), GENERATE, {"inputs": "hi"} | body)


def said(view: RequestView) -> list[str]:
    return [field.text for field in view.texts]


def answered(*documents: Any) -> list[AnswerFrame]:
    reader = Tgi().answer_reader(read())
    return [reader.read(document) for document in documents]


def test_the_input_and_the_parameters_are_texts() -> None:
    parameters = {"stop": ["one", "two"], "adapter_id": "mine", "max_new_tokens": 5, "details": True}
    view = read(parameters=parameters, new={"a key": "a value"})
    assert said(view) == ["hi", "one", "two", "mine", "5", "new", "a key", "a value"]
    assert view.parameters == {"max_new_tokens": 5, "details": True}
    grammar = {"type": "json", "value": {"properties": {"name": {"type": "string"}}}}
    assert said(read(parameters={"grammar": grammar})) == ["hi", "name"]


def test_the_path_says_whether_it_streams_and_nothing_names_the_model() -> None:
    assert not read().stream
    assert Tgi().read_request(GENERATE_STREAM, {"inputs": "hi"}).stream
    assert (read().model, Tgi().model_path(GENERATE)) == ("", None)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": 5},
        {"inputs": ["hi"]},
        {"inputs": None},
        {"parameters": []},
        {"parameters": {"decoder_input_details": True}},
        {"parameters": {"top_n_tokens": 3}},
        {"parameters": {"input_ids": [1]}},
        {"chat_template": "x"},
        {"Inputs": "x"},
    ],
)
def test_what_cannot_be_read_stops_the_request(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(**body)


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
REMOTE = "What is ![](http://169.254.169.254/latest/meta-data) about?"


@pytest.mark.parametrize(
    "inputs",
    [
        REMOTE,
        "![](HTTPS://example.org/a.png)",
        "![](\nfile:///etc/passwd)",
        f"![](data:image/png;base64,{PIXEL})",
        "![](data:image/png;base64,%%%)",
        "![](cat.png) and ![](http://a/)",
        "![](http://a/)" * (MOST_UNREAD + 1),
    ],
)
def test_an_image_in_a_prompt_stops_the_request(inputs: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(inputs=inputs)
    assert caught.value.code == "unsupported_content"


@pytest.mark.parametrize(
    "inputs", ["see [a link](http://a/)", "![a cat](http://a/)", "![](cat.png)", "![]()", "![](http://a/"]
)
def test_what_the_server_takes_for_no_image_is_text(inputs: str) -> None:
    assert said(read(inputs=inputs)) == [inputs]


def test_rules_may_permit_images_and_the_addresses_that_they_are_fetched_from() -> None:
    inputs = f"{REMOTE} ![](data:image/png;base64,{PIXEL})"
    view = Tgi().read_request(GENERATE, {"inputs": inputs})
    assert [(unread.kind, unread.scheme, unread.type) for unread in view.unread] == [
        (Kind.REFERENCE, "http", ""),
        (Kind.IMAGE, "", "image/png"),
    ]
    assert said(view) == [inputs]
    require_permitted(view.unread, [Kind.REFERENCE, Kind.IMAGE])
    with pytest.raises(Unreadable):
        require_permitted(view.unread, [Kind.IMAGE])


def test_a_documented_stream_is_read() -> None:
    token = {"id": 264, "text": " a", "logprob": -0.5, "special": False}
    details = {"finish_reason": "length", "generated_tokens": 2, "input_length": 1, "seed": None}
    first, last = answered(
        {"index": 1, "token": token, "generated_text": None, "details": None},
        {"index": 2, "token": token | {"text": " b"}, "generated_text": " a b", "details": details},
    )
    assert [field.text for field in (*first.fields, *last.fields)] == [" a", " b", " a b"]
    assert {field.channel for field in first.fields} == {last.fields[0].channel}
    assert (last.usage, first.closes, last.closes) == (Usage(1, 2), False, True)


def test_what_repeats_the_text_as_tokens_is_cleared() -> None:
    details = {"tokens": [{"id": 5, "text": "x"}], "prefill": [{"id": 1, "text": "hi"}]}
    (frame,) = answered({"generated_text": "x", "details": details})
    assert frame.cleared == (("details", "tokens"), ("details", "prefill"))


def test_what_is_no_answer_ends_it() -> None:
    odd: tuple[Any, ...] = (5, {}, {"choices": []}, {"token": {"text": 5}})
    for document in odd:
        with pytest.raises(Unreadable) as caught:
            answered(document)
        assert caught.value.status == 502


def test_errors_have_the_shape_of_the_api() -> None:
    error = ApiError(403, "request_denied", "No.", "ses_1", {"rule": "r"})
    body = {"rule": "r", "session": "ses_1", "error": "No.", "error_type": "request_denied"}
    assert json.loads(tgi_error(error)) == body
    assert tgi_error_event(error) == b"data:" + tgi_error(error) + b"\n\n"
