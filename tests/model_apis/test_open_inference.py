"""The Open Inference Protocol: texts are seen in tensors of any shape, and tokens stop the request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.open_inference import OpenInference
from authz_service.model_apis.open_inference_errors import inference_error, inference_error_event
from authz_service.model_apis.open_inference_words import REFUSED
from authz_service.model_apis.registry import find_operation
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import RequestView

API = OpenInference()


def read(path: str = "/v2/models/llama/infer", **body: Any) -> RequestView:
    found = find_operation("POST", path)
    assert found is not None
    return read_by_default(*found, body)


def tensor(*data: Any, datatype: str = "BYTES", **more: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(data)], "datatype": datatype, "data": list(data), **more}


def said(view: RequestView) -> list[str]:
    return [field.text for field in view.texts if field.text not in ("text", "name")]


def answered(*documents: Any, operation: str = "infer") -> list[AnswerFrame]:
    request = RequestView("open_inference", operation, "llama", False, ())
    reader = API.answer_reader(request)
    return [reader.read(document) for document in documents]


def texts(frame: AnswerFrame) -> list[str]:
    return [field.text for field in frame.fields]


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v2/models/llama/infer", "infer"),
        ("/v2/models/llama/versions/3/infer", "infer"),
        ("/v2/models/llama/generate", "generate"),
        ("/v2/models/llama/versions/12/generate_stream", "generate_stream"),
        ("/v2/models/llama/infer_stream", "infer_stream"),
        ("/v2/models/llama/versions/1/infer_stream", "infer_stream"),
    ],
)
def test_the_path_names_the_model_and_the_operation(path: str, operation: str) -> None:
    found = find_operation("POST", path)
    assert found is not None
    assert (found[1].name, found[1].model, found[1].path) == (operation, "llama", path)


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/llama",
        "/v2/models/llama/ready",
        "/v2/models//infer",
        "/v2/models/a/b/infer",
        "/v2/models/llama/versions/x/infer",
        "/v2/models/llama/versions//infer",
        "/v2/models/../infer",
        "/v2/repository/models/llama/load",
    ],
)
def test_no_other_path_is_its(path: str) -> None:
    assert find_operation("POST", path) is None


def test_a_size_that_is_larger_than_sizes_are_is_a_text() -> None:
    view = read(inputs=[tensor("x", shape=[1, 4111111111111111])])
    assert [t.text for t in view.texts if t.path == ("inputs", 0, "shape", 1)] == ["4111111111111111"]
    assert [t.path for t in view.texts if t.is_number] == [("inputs", 0, "shape", 1)]


def test_texts_are_seen_in_tensors_of_any_shape() -> None:
    nested = tensor(["one", "two"], ["three", "four"], parameters={"content_type": "str"})
    view = read(inputs=[nested, tensor("five")], id="an id", parameters={"a key": "a value"})
    assert said(view) == ["one", "two", "three", "four", "str", "five", "an id", "a key", "a value"]
    assert view.model == "llama"


def test_a_single_number_is_a_parameter_and_several_may_be_tokens() -> None:
    view = read(inputs=[tensor(5, datatype="INT32"), tensor([0.5], datatype="FP32")])
    assert said(view) == ["5", "0.5"]
    assert said(read(inputs=[tensor(True, datatype="BOOL")])) == []
    for data, datatype in (((1, 2), "INT32"), (([1], [2]), "INT64"), ((0.1, 0.2), "FP32"), ((), "FP32")):
        with pytest.raises(Unreadable):
            read(inputs=[tensor(*data, datatype=datatype)])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": {}},
        {"inputs": ["text"]},
        {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]},
        {"inputs": [tensor("x", datatype="STRING")]},
        {"inputs": [tensor("x", shape=[-1])]},
        {"inputs": [tensor("x", shape="1")]},
        {"inputs": [tensor("x", shape=[1] * 17)]},
        {"inputs": [tensor(5)]},
        {"inputs": [tensor("x", datatype="INT32")]},
        {"inputs": [tensor("x", parameters={"binary_data_size": 5})]},
        {"inputs": [tensor("x")], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
        {"inputs": [tensor("x")], "parameters": {"sequence_id": 5}},
    ],
)
def test_what_cannot_be_read_stops_the_request(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(**body)


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_generating_too(key: str) -> None:
    with pytest.raises(Unreadable):
        read("/v2/models/llama/generate", text_input="hi", **{key: [1]})


@pytest.mark.parametrize("more", [{"sequence_id": 42}, {"parameters": {"sequence_id": 42}}])
@pytest.mark.parametrize("path", ["generate", "infer"])
def test_no_rule_permits_to_go_on_with_a_sequence_which_anybody_could_guess(path: str, more: Any) -> None:
    found = find_operation("POST", f"/v2/models/llama/{path}")
    assert found is not None
    with pytest.raises(Unreadable, match="sequence_id: this field is not supported"):
        found[0].read_request(found[1], {"inputs": [tensor("x")], "text_input": "x"} | more)


def test_what_is_generated_from_is_text() -> None:
    view = read("/v2/models/llama/generate", text_input="hi", max_tokens=5, stop_words=["one"], new="two")
    assert said(view) == ["hi", "one", "new", "two"]
    assert [field.new_turn for field in view.texts] == [True, False, False, False]


def test_tensors_of_texts_are_read_and_whole_numbers_are_cleared() -> None:
    outputs = [
        tensor("a", ["b"]),
        tensor(0.5, 0.25, datatype="FP32"),
        tensor(1, 2, datatype="INT64"),
        tensor(3, datatype="INT64"),
        tensor("c", datatype="FP32"),
    ]
    (frame,) = answered({"model_name": "llama", "outputs": outputs})
    assert [text for text in texts(frame) if text != "text"] == ["llama", "a", "b", "c"]
    assert frame.cleared == (("outputs", 2, "data"),)


def test_generated_text_goes_on_from_event_to_event() -> None:
    said = {"model_name": "llama", "model_version": "1"}
    frames = answered(
        {**said, "text_output": "Hel"}, {**said, "text_output": "lo"}, operation="generate_stream"
    )
    pieces = [f for frame in frames for f in frame.fields if f.channel == "text_output"]
    assert "".join(piece.text for piece in pieces) == "Hello"
    assert "llama" in texts(frames[0])


def test_what_is_no_answer_ends_it() -> None:
    odd: tuple[Any, ...] = (5, {}, {"outputs": [5]})
    for document in odd:
        with pytest.raises(Unreadable) as caught:
            answered(document)
        assert caught.value.status == 502
    with pytest.raises(Unreadable):
        answered(5, operation="generate")


def test_errors_have_the_shape_of_the_protocol() -> None:
    error = ApiError(403, "request_denied", "No.", "ses_1", {"rule": "r"})
    body = {"rule": "r", "session": "ses_1", "error": "No.", "code": "request_denied"}
    assert json.loads(inference_error(error)) == body
    assert inference_error_event(error) == b"data: " + inference_error(error) + b"\n\n"


def recorded(name: str) -> list[Any]:
    """The documents of an answer that MLServer gave."""
    body = (Path(__file__).parent / "wire" / name).read_text()
    if name.endswith(".json"):
        return [json.loads(body)]
    return [json.loads(line.removeprefix("data: ")) for line in body.split("\n\n") if line]


def by_channel(frames: list[AnswerFrame]) -> dict[str, str]:
    """What goes on from frame to frame, joined."""
    joined: dict[str, str] = {}
    for field in (field for frame in frames for field in frame.fields if not field.is_whole):
        joined[field.channel] = joined.get(field.channel, "") + field.text
    return joined


SAYS = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."


def test_an_answer_of_mlserver_is_read() -> None:
    frames = answered(*recorded("mlserver_infer.json"))
    assert list(by_channel(frames).values()) == [SAYS, "Hello", "there"]


@pytest.mark.parametrize("operation", ["infer_stream", "generate_stream"])
def test_a_text_of_mlserver_goes_on_from_event_to_event(operation: str) -> None:
    frames = answered(*recorded("mlserver_stream.sse"), operation=operation)
    assert len(frames) > 20
    assert list(by_channel(frames).values()) == [SAYS]


def test_texts_go_on_under_the_name_of_their_tensor_wherever_it_stands() -> None:
    one, two = tensor("a"), {**tensor("b"), "name": "other"}
    frames = answered({"outputs": [one, two]}, {"outputs": [two, one]}, {"outputs": [one, one]})
    assert sorted(by_channel(frames).values()) == ["a", "aaa", "bb"]


def test_tensors_may_be_asked_to_generate() -> None:
    view = read("/v2/models/llama/generate_stream", inputs=[tensor("Hello")])
    assert (said(view), view.stream) == (["Hello"], True)
    with pytest.raises(Unreadable):
        read("/v2/models/llama/generate", inputs=[tensor(5, 6, datatype="INT64")])
    assert said(read("/v2/models/llama/generate", inputs=["Hello"])) == ["Hello"]
