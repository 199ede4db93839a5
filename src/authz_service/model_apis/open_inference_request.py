"""Reads requests of the Open Inference Protocol: the texts of its tensors, and of Triton's generate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.numbers import TELLING, is_number
from authz_service.model_apis.open_inference_words import DATATYPES, FLOATS, INFERENCE_WORDS
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import NOBODY, Speaker
from authz_service.view.request import Path, Role, TextField
from authz_service.view.unread import Kind

_INPUT = Speaker(Role.USER, new_turn=True)
_TOKENS = "numbers may be tokens or vectors, which this gateway cannot read"

MOST_DIMENSIONS = 16


class InferenceReader(RequestReader):
    """A tensor of BYTES is texts. One of a single number is a parameter; any other is not read."""

    def __init__(self) -> None:
        super().__init__(INFERENCE_WORDS)

    def infer(self, body: Mapping[str, Any]) -> None:
        """The tensors, and what surrounds them."""
        tensors = self.expect_list(body.get("inputs"), ("inputs",))
        for key, value in body.items():
            if key != "inputs":
                self.member(key, value, ())
                continue
            for i, tensor in enumerate(tensors):
                self._tensor(self.expect_object(tensor, (key, i)), (key, i))

    def generate(self, body: Mapping[str, Any]) -> None:
        """Triton's extension: every member is an input of the model by that name, or its parameter."""
        for key, value in body.items():
            self.member(key, value, (), _INPUT if key == "text_input" else NOBODY)

    def _tensor(self, tensor: Mapping[str, Any], path: Path) -> None:
        datatype = tensor.get("datatype")
        if not isinstance(datatype, str) or datatype not in DATATYPES:
            self.refuse("invalid_field", (*path, "datatype"), "a type of the protocol was expected")
        if "data" not in tensor:
            self.refuse("unsupported_content", path, "a tensor's data is expected in the document itself")
        for key, value in tensor.items():
            if key == "data":
                self._data(value, (*path, key), datatype)
            elif key == "shape":
                self._shape(value, (*path, key))
            else:
                self.member(key, value, path)

    def _data(self, value: object, path: Path, datatype: str) -> None:
        if datatype == "BYTES":
            self._texts(value, path)
            return
        kind = Kind.VECTORS if datatype in FLOATS else Kind.TOKENS
        while isinstance(value, list) and len(value) == 1:
            value, path = value[0], (*path, 0)
        if isinstance(value, bool):
            return
        if not is_number(value):
            self.leave(kind if isinstance(value, list) else None, value, path, _TOKENS)
            return
        self.texts.append(TextField(path, said_by(value), Role.OTHER, is_number=True))

    def _texts(self, value: object, path: Path) -> None:
        if isinstance(value, list):
            for i, item in enumerate(value):
                self._texts(item, (*path, i))
        else:
            self.expect_text(value, path, _INPUT)

    def _shape(self, value: object, path: Path) -> None:
        sizes = self.expect_list(value, path)
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 0 for size in sizes):
            self.refuse("invalid_field", path, "whole numbers were expected")
        if len(sizes) > MOST_DIMENSIONS:
            self.refuse("invalid_field", path, f"at most {MOST_DIMENSIONS} dimensions were expected")
        for i, size in enumerate(sizes):
            if size >= TELLING:
                self.texts.append(TextField((*path, i), said_by(size), Role.OTHER, is_number=True))
