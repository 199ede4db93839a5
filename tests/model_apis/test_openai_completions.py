"""Legacy completions and embeddings: nothing goes by unseen, and tokens stop the request."""

from __future__ import annotations

import base64
import json
from pathlib import Path as File
from typing import Any

import pytest
from tests.model_apis.by_default import read_by_default

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_completions import COMPLETIONS, OpenAiCompletions
from authz_service.model_apis.openai_embeddings import EMBEDDINGS, OpenAiEmbeddings
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import RequestView

WIRE = File(__file__).parent / "wire"
ASKS = [(OpenAiCompletions(), COMPLETIONS, "prompt"), (OpenAiEmbeddings(), EMBEDDINGS, "input")]


def complete(**body: Any) -> RequestView:
    return read_by_default(OpenAiCompletions(), COMPLETIONS, {"model": "m", "prompt": "hi"} | body)


def embed(**body: Any) -> RequestView:
    return read_by_default(OpenAiEmbeddings(), EMBEDDINGS, {"model": "m", "input": "hi"} | body)


def said(view: RequestView) -> list[str]:
    return [field.text for field in view.texts]


def answered(*documents: Any) -> list[AnswerFrame]:
    reader = OpenAiCompletions().answer_reader(complete())
    return [reader.read(document) for document in documents]


@pytest.mark.parametrize(("api", "operation", "carrier"), ASKS, ids=["completions", "embeddings"])
def test_a_prompt_is_one_text_or_several_and_never_tokens(api: Any, operation: Any, carrier: str) -> None:
    for texts in (["one"], ["one", "two"]):
        assert said(read_by_default(api, operation, {"model": "m", carrier: texts})) == texts
    assert said(read_by_default(api, operation, {"model": "m", carrier: "one"})) == ["one"]
    none: tuple[Any, ...] = ([1, 2], [[1, 2]], [], ["one", [1]], 5, {"a": 1}, None)
    for value in none:
        with pytest.raises(Unreadable):
            read_by_default(api, operation, {"model": "m", carrier: value})
    with pytest.raises(Unreadable):
        read_by_default(api, operation, {"model": "m"})


def test_whatever_surrounds_the_prompt_is_text_too() -> None:
    view = complete(
        suffix="after", stop=["one", "two"], user="me", grammar="root", new={"a key": ["b", {"max": 7}]}
    )
    assert said(view) == ["hi", "after", "one", "two", "me", "root", "new", "a key", "b", "max", "7"]
    assert said(complete(stop="one")) == ["hi", "one"]
    assert said(embed(user="me", dimensions=3, encoding_format="base64")) == ["hi", "me"]


def test_what_repeats_text_as_tokens_or_carries_any_stops_the_request() -> None:
    for body in (
        {"prompt_logprobs": 3},
        {"prompt_embeds": "x"},
        {"echo_tokens": [1]},
        {"return_token_ids": True},
    ):
        with pytest.raises(Unreadable):
            complete(**body)


def test_a_recorded_completion_is_read() -> None:
    (frame,) = answered(json.loads((WIRE / "llamacpp_completion_text.json").read_text()))
    texts = {field.channel: field.text for field in frame.fields if field.channel.startswith("choices/")}
    assert texts == {"choices/0/text": "Hello there"}
    assert frame.usage == Usage(5, 8)


def test_a_recorded_stream_is_read() -> None:
    lines = (WIRE / "llamacpp_completion_text.sse").read_text().split("\n")
    documents = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    read = answered(*documents)
    fields = [field for frame in read for field in frame.fields if field.channel == "choices/0/text"]
    assert "".join(field.text for field in fields) == "Hello there"
    assert read[-1].closes


def test_tokens_in_an_answer_are_cleared_and_what_is_none_ends_it() -> None:
    (frame,) = answered({"choices": [{"index": 0, "text": "x", "logprobs": {"tokens": ["y"]}, "ids": [1]}]})
    assert frame.cleared == (("choices", 0, "ids"), ("choices", 0, "logprobs"))
    odd: tuple[Any, ...] = (
        [],
        {"id": "x"},
        {"choices": ["x"]},
        {"choices": [{"index": -1, "text": "x"}]},
        {"choices": [{"index": 0, "text": 5}]},
        {"choices": [{"index": 0, "text": "x"}, {"index": 0, "text": "y"}]},
        {"choices": [{"text": "x"}, {"text": "y"}]},
    )
    for document in odd:
        with pytest.raises(Unreadable) as caught:
            answered(document)
        assert caught.value.status == 502


def test_vectors_pass_and_what_stands_beside_them_is_looked_at() -> None:
    reader = OpenAiEmbeddings().answer_reader(embed())
    packed = base64.b64encode(bytes(8)).decode()
    items = [{"object": "embedding", "index": 0, "embedding": [0.5, 1, -2e-3], "note": "a note"}]
    items.append({"object": "embedding", "index": 1, "embedding": packed})
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    frame = reader.read({"object": "list", "data": items, "model": "llama", "usage": usage})
    assert {field.text for field in frame.fields} == {"llama", "note", "a note"}
    assert (frame.cleared, frame.usage) == ((), Usage(2, 0))


@pytest.mark.parametrize("vector", ["no base64!", "Zm9v", ["text"], {"a": 1}, None, [True]])
def test_what_is_no_vector_ends_the_answer(vector: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        OpenAiEmbeddings().answer_reader(embed()).read({"data": [{"embedding": vector}]})
    assert caught.value.status == 502
