"""A type that is no string: found by fuzzing, it once raised an error that nobody had foreseen."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.model_apis.anthropic import MESSAGES, Anthropic
from authz_service.model_apis.base import AnswerReader
from authz_service.model_apis.open_inference_answer import InferAnswerReader
from authz_service.model_apis.openai_responses_answer import ResponsesAnswerReader

ODD: tuple[Any, ...] = (["text"], {"text": "text"}, 5, None)


@pytest.mark.parametrize("kind", ODD)
def test_a_block_whose_type_is_no_string_stops_the_request(kind: Any) -> None:
    message = {"role": "user", "content": [{"type": kind, "text": "Hello"}]}
    with pytest.raises(Unreadable) as refused:
        Anthropic().read_request(MESSAGES, {"model": "m", "max_tokens": 1, "messages": [message]})
    assert refused.value.code == "unsupported_content"


def texts(reader: AnswerReader, document: object) -> list[str]:
    return [field.text for field in reader.read(document).fields]


@pytest.mark.parametrize("kind", ODD)
def test_an_item_whose_type_is_no_string_is_read_all_the_same(kind: Any) -> None:
    response = {"object": "response", "output": [{"type": kind, "id": "i", "arguments": "Hello"}]}
    assert "Hello" in texts(ResponsesAnswerReader(), response)


@pytest.mark.parametrize("kind", ODD)
def test_a_tensor_whose_datatype_is_no_string_is_read_all_the_same(kind: Any) -> None:
    tensor = {"name": "t", "datatype": kind, "shape": [1], "data": ["Hello"]}
    assert "Hello" in texts(InferAnswerReader(), {"outputs": [tensor]})


@pytest.mark.parametrize("shape", [[1, {"Hello": 2}], [1, "Hello"], ["Hello"], {"a": "Hello"}])
def test_a_shape_that_holds_more_than_sizes_is_read(shape: Any) -> None:
    tensor = {"name": "t", "datatype": "BYTES", "shape": shape, "data": ["x"]}
    frame = InferAnswerReader().read({"outputs": [tensor]})
    is_cleared = ("outputs", 0, "shape") in frame.cleared
    assert is_cleared or "Hello" in [field.text for field in frame.fields]


def test_a_shape_of_a_large_number_does_not_cross_and_sizes_do() -> None:
    for size, cleared in ((4111111111111111, [("outputs", 0, "shape")]), (128, [])):
        tensor = {"name": "t", "datatype": "BYTES", "shape": [size], "data": ["x"]}
        assert list(InferAnswerReader().read({"outputs": [tensor]}).cleared) == cleared
