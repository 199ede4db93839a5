"""Reads answers of the Open Inference Protocol: tensors, and Triton's generated text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authz_service.model_apis.answer_frame import TELLING, FrameTexts, is_number, unreadable
from authz_service.model_apis.open_inference_words import FLOATS, INFERENCE_WORDS
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import Path

_UNREAD = frozenset(("tokens", "token_ids", "output_ids", "logprobs"))


class InferAnswerReader:
    """One frame. Floats pass, since they are no tokens; several whole numbers may be, and become null."""

    def read(self, document: object) -> AnswerFrame:
        """The texts of all tensors."""
        if not isinstance(document, dict) or not ("outputs" in document or "error" in document):
            unreadable(INFERENCE_WORDS, (), "an object with outputs or an error was expected")
        texts = FrameTexts(0, INFERENCE_WORDS, _UNREAD)
        for key, value in document.items():
            if key == "outputs" and isinstance(value, list):
                for i, tensor in enumerate(value):
                    self._tensor(tensor, (key, i), texts)
            else:
                texts.aside(value, (key,))
        texts.closes = True
        return texts.frame()

    def _tensor(self, tensor: object, path: Path, texts: FrameTexts) -> None:
        if not isinstance(tensor, dict):
            unreadable(INFERENCE_WORDS, path, "an object was expected")
        datatype = tensor.get("datatype")
        passes = isinstance(datatype, str) and datatype in FLOATS
        for key, value in tensor.items():
            if key == "shape" and _is_shape(value):
                continue
            if key == "data":
                self._data(value, (*path, key), texts, passes=passes)
            else:
                texts.aside(value, (*path, key))

    def _data(self, value: object, path: Path, texts: FrameTexts, *, passes: bool) -> None:
        if isinstance(value, list):
            if not passes and len(value) > 1 and any(is_number(item) for item in value):
                texts.cleared.append(path)
                return
            for i, item in enumerate(value):
                self._data(item, (*path, i), texts, passes=passes)
        elif not (is_number(value) and passes):
            texts.aside(value, path)


def _is_shape(value: object) -> bool:
    """Whether these are sizes and nothing besides: more could be what the model said."""
    return isinstance(value, list) and all(is_number(size) and abs(size) < TELLING for size in value)


class GenerateAnswerReader:
    """Each string at the root goes on from event to event, on a channel by its key."""

    def __init__(self) -> None:
        self._frames = 0

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict):
            unreadable(INFERENCE_WORDS, (), "an object was expected")
        texts = FrameTexts(self._frames, INFERENCE_WORDS, _UNREAD)
        self._frames += 1
        texts.closes = "error" in document
        for key, value in document.items():
            self._member(key, value, document, texts)
        return texts.frame()

    def _member(self, key: str, value: object, document: Mapping[str, Any], texts: FrameTexts) -> None:
        if key == "text_output" and isinstance(value, str):
            texts.say(key, (key,), value)
        elif key == "triton_final_response":
            texts.closes = texts.closes or value is True
        else:
            texts.aside(value, (key,))
