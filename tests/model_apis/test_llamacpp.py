"""llama.cpp's own API: nothing goes by unseen, and tokens stop the request or are cleared."""

from __future__ import annotations

import json
from pathlib import Path as File
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.llamacpp import COMPLETION, INFILL, LlamaCpp
from authz_service.model_apis.llamacpp_words import REFUSED
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import RequestView

WIRE = File(__file__).parent / "wire"


def read(*, infill: bool = False, **body: Any) -> RequestView:
    return read_by_default(LlamaCpp(), INFILL if infill else COMPLETION, {"prompt": "hi"} | body)


def said(view: RequestView) -> list[str]:
    return [field.text for field in view.texts]


def answered(*documents: Any) -> list[AnswerFrame]:
    reader = LlamaCpp().answer_reader(read())
    return [reader.read(document) for document in documents]


def contents(frames: list[AnswerFrame]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for frame in frames:
        for field in frame.fields:
            if field.channel.startswith("content/"):
                texts[field.channel] = texts.get(field.channel, "") + field.text
    return texts


def test_a_prompt_is_one_text_or_several_and_never_tokens() -> None:
    assert said(read(prompt="one")) == ["one"]
    assert said(read(prompt=["one", "two"])) == ["one", "two"]
    none: tuple[Any, ...] = ([1, 2], ["one", 2], [[1]], [], 5, None, {"prompt_string": "x"})
    for value in none:
        with pytest.raises(Unreadable):
            read(prompt=value)
    with pytest.raises(Unreadable):
        LlamaCpp().read_request(COMPLETION, {"n_predict": 1})


def test_whatever_surrounds_the_prompt_is_text_too() -> None:
    extra = [{"filename": "a.py", "text": "import os"}]
    view = read(infill=True, input_prefix="def f", input_suffix="pass", input_extra=extra, stop=["\n\n"])
    assert said(view) == ["hi", "def f", "pass", "a.py", "import os", "\n\n"]
    assert said(LlamaCpp().read_request(INFILL, {"input_prefix": "a"})) == ["a"]
    assert said(read(grammar="root", samplers=["top_k", "mine"], n_predict=3)) == ["hi", "root", "mine"]


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_the_request(key: str) -> None:
    with pytest.raises(Unreadable):
        read(**dict[str, Any]({key: [1]}))
    read(**dict[str, Any]({key: None}))


def test_the_model_may_be_named() -> None:
    assert (read().model, read(model="llama").model) == ("", "llama")


def test_recorded_answers_are_read() -> None:
    whole = answered(json.loads((WIRE / "llamacpp_native_text.json").read_text()))
    assert contents(whole) == {"content/0": "Hello there"}
    assert (whole[0].usage, whole[0].closes) == (Usage(5, 8), True)
    lines = (WIRE / "llamacpp_native_text.sse").read_text().split("\n")
    streamed = answered(*[json.loads(line[6:]) for line in lines if line.startswith("data: ")])
    assert contents(streamed) == {"content/0": "Hello there"}
    two = answered(json.loads((WIRE / "llamacpp_native_two.json").read_text()))
    assert contents(two) == {"content/0": "Hello there", "content/1": "Hello there"}


def test_what_the_answer_repeats_of_the_request_is_looked_at() -> None:
    settings = {"stop": ["word"], "grammar": "root", "n_predict": 3}
    (frame,) = answered({"content": "", "stop": True, "prompt": "asked", "generation_settings": settings})
    assert [field.text for field in frame.fields] == ["asked", "word", "root"]


def test_what_is_no_answer_ends_it() -> None:
    odd: tuple[Any, ...] = (
        5,
        {},
        [5],
        {"content": 5},
        {"content": "x", "index": -1},
        {"content": "x", "index": True},
        [{"content": "x"}, {"content": "y"}],
    )
    for document in odd:
        with pytest.raises(Unreadable) as caught:
            answered(document)
        assert caught.value.status == 502
