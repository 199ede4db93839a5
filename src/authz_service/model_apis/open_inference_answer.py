"""Reads answers of the Open Inference Protocol: tensors, and Triton's generated text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from authz_service.model_apis.answer_frame import FrameTexts, Unnamed, unreadable
from authz_service.model_apis.numbers import TELLING, is_number, is_numbers
from authz_service.model_apis.open_inference_words import ANSWER_KEYS, FLOATS, INFERENCE_WORDS
from authz_service.view.answer import AnswerFrame
from authz_service.view.pointer import escaped
from authz_service.view.request import Path

_UNREAD = frozenset(("tokens", "token_ids", "output_ids", "logprobs"))


class InferAnswerReader:
    """Tensors of one frame, or of each of a stream, in which a text goes on under the name of its tensor.

    Floats pass, since they are no tokens; several whole numbers may be, and become null.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of all tensors."""
        if not isinstance(document, dict) or not ("outputs" in document or "error" in document):
            unreadable(INFERENCE_WORDS, (), "an object with outputs or an error was expected")
        texts = FrameTexts(self._frames, INFERENCE_WORDS, _UNREAD)
        self._frames += 1
        for key, value in document.items():
            if key == "outputs" and isinstance(value, list):
                _tensors(value, (key,), texts)
            else:
                _beside(value, (key,), "~", texts)
        texts.end_unnamed(self._unnamed, "")
        texts.closes = "error" in document
        return texts.frame()


def _tensors(tensors: Sequence[object], path: Path, texts: FrameTexts) -> None:
    names: Counter[str] = Counter()
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, dict):
            unreadable(INFERENCE_WORDS, (*path, i), "an object was expected")
        name = tensor.get("name")
        name = name if isinstance(name, str) else ""
        _tensor(tensor, (*path, i), texts, channel=f"tensor/{names[name]}/{escaped(name)}")
        names[name] += 1


def _tensor(tensor: Mapping[str, Any], path: Path, texts: FrameTexts, channel: str) -> None:
    datatype = tensor.get("datatype")
    passes = isinstance(datatype, str) and datatype in FLOATS
    for key, value in tensor.items():
        if key == "shape" and _is_shape(value):
            continue
        if key == "data":
            _data(value, (*path, key), texts, channel, passes=passes)
        else:
            _beside(value, (*path, key), f"{channel}/~", texts)


def _beside(value: object, path: Path, channel: str, texts: FrameTexts) -> None:
    """What stands beside tensors and texts."""
    if path[-1] in ANSWER_KEYS:
        texts.aside(value, path)
    else:
        texts.say_on(channel, path, value)


def _data(value: object, path: Path, texts: FrameTexts, channel: str, *, passes: bool) -> None:
    if isinstance(value, str):
        texts.say(channel, path, value)
    elif isinstance(value, list):
        if not passes and len(value) > 1 and any(is_number(item) for item in value):
            texts.cleared.append(path)
            return
        for i, item in enumerate(value):
            _data(item, (*path, i), texts, f"{channel}/{i}", passes=passes)
    elif not (is_number(value) and passes):
        texts.aside(value, path)


def _is_shape(value: object) -> bool:
    """Whether these are sizes and nothing besides: more could be what the model said."""
    return isinstance(value, list) and all(is_number(size) and abs(size) < TELLING for size in value)


def _output(value: object, path: Path, texts: FrameTexts) -> None:
    """Triton's text: a string, or a list where the model has several, each of which goes on by its place.

    A list with numbers becomes null, as tokens do. One alone is refused: added to a string it makes a text.
    """
    for here, item in _elements(value, path):
        name = _named(here[len(path) :])
        if isinstance(item, list):
            texts.cleared.append(here)
        elif isinstance(item, dict):
            for key, member in item.items():
                texts.say_on(name, (*here, key), member)
        elif item is not None:
            texts.say(name, here, item)


def _named(place: Path) -> str:
    """One name for a string, the first of a list and the first of a list in it; any other has its own."""
    while place and place[-1] == 0:
        place = place[:-1]
    return "/".join(("text_output", *map(str, place)))


def _elements(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(value, list) and not is_numbers(value):
        for i, item in enumerate(value):
            yield from _elements(item, (*path, i))
    else:
        yield path, value


class GenerateAnswerReader:
    """Triton's text goes on from event to event, and so do tensors, which MLServer has in its place."""

    def __init__(self) -> None:
        self._frames = 0
        self._unnamed = Unnamed()

    def read(self, document: object) -> AnswerFrame:
        """The texts of the next frame."""
        if not isinstance(document, dict):
            unreadable(INFERENCE_WORDS, (), "an object was expected")
        texts = FrameTexts(self._frames, INFERENCE_WORDS, _UNREAD)
        self._frames += 1
        texts.closes = "error" in document
        for key, value in document.items():
            self._member(key, value, document, texts)
        texts.end_unnamed(self._unnamed, "")
        return texts.frame()

    def _member(self, key: str, value: object, document: Mapping[str, Any], texts: FrameTexts) -> None:
        if key == "text_output":
            _output(value, (key,), texts)
        elif key == "outputs" and isinstance(value, list) and value and isinstance(value[0], dict):
            _tensors(value, (key,), texts)
        elif key == "triton_final_response":
            texts.closes = texts.closes or value is True
        else:
            _beside(value, (key,), "~", texts)
