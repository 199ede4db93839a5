"""The Open Inference Protocol, version 2, over HTTP (KServe, Triton, MLServer), with the streams of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.framing.encoding import BodyFormat
from authz_service.model_apis.base import AnswerReader, ApiError, Operation, OwnAnswer, Said
from authz_service.model_apis.open_inference_answer import GenerateAnswerReader, InferAnswerReader
from authz_service.model_apis.open_inference_errors import inference_error, inference_error_event
from authz_service.model_apis.open_inference_request import InferenceReader
from authz_service.model_apis.turns import TurnPlaces
from authz_service.view.request import Path, RequestView, Role

NAME = "open_inference"
_MODEL = "/v2/models/{model}"
_VERSION = "/v2/models/{model}/versions/{version}"


_TENSORS = ("infer", "infer_stream")


def _operation(name: str, path: str) -> Operation:
    return Operation(api=NAME, name=name, method="POST", path=path)


class OpenInference:
    """The adapter. Texts are tensors of BYTES; tensors of numbers may be tokens, and are refused."""

    name = NAME
    operations: tuple[Operation, ...] = (
        _operation("infer", f"{_MODEL}/infer"),
        _operation("infer", f"{_VERSION}/infer"),
        _operation("infer_stream", f"{_MODEL}/infer_stream"),
        _operation("infer_stream", f"{_VERSION}/infer_stream"),
        _operation("generate", f"{_MODEL}/generate"),
        _operation("generate", f"{_VERSION}/generate"),
        _operation("generate_stream", f"{_MODEL}/generate_stream"),
        _operation("generate_stream", f"{_VERSION}/generate_stream"),
    )
    noise_roots = frozenset({"id"})
    answer_formats = frozenset({BodyFormat.JSON, BodyFormat.EVENT_STREAM})
    event_names: frozenset[str] = frozenset()
    end_of_stream: str | None = None

    def read_request(self, operation: Operation, document: object) -> RequestView:
        """The request as it is; every string of it that is not one of the API's words is a text."""
        reader = InferenceReader()
        body = reader.expect_object(document, ())
        if operation.name in _TENSORS or _has_tensors(body):
            reader.infer(body)
        else:
            reader.generate(body)
        return reader.view(operation, body, model=operation.model, stream=operation.name.endswith("_stream"))

    def model_path(self, operation: Operation) -> Path | None:
        """Nowhere: the path names the model."""
        return None

    def turn_places(self, operation: Operation) -> TurnPlaces:
        """Triton's `text_input`, and the tensors of the protocol itself, by their names."""
        return TurnPlaces(texts={"text_input": Role.USER, "inputs": Role.USER}, tensors={"inputs": Role.USER})

    def answer_reader(self, request: RequestView) -> AnswerReader:
        """A reader of tensors, or of generated text."""
        return InferAnswerReader() if request.operation in _TENSORS else GenerateAnswerReader()

    def own_answer(self, request: RequestView, said: Said) -> OwnAnswer | None:
        """None: what its tensors are called, only the model knows."""
        return None

    def error_body(self, error: ApiError) -> bytes:
        """`{"error": message}`."""
        return inference_error(error)

    def error_event(self, error: ApiError) -> bytes:
        """The same object as a data event."""
        return inference_error_event(error)


def _has_tensors(body: Mapping[str, Any]) -> bool:
    """Whether a request to generate is one of MLServer, to which it is another name of infer."""
    inputs = body.get("inputs")
    return isinstance(inputs, list) and bool(inputs) and all(isinstance(item, dict) for item in inputs)
