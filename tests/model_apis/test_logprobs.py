"""Log probabilities go with the characters that they say again, or they do not go at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

import pytest

from authz_service.model_apis.base import ModelApi
from authz_service.model_apis.llamacpp import LlamaCpp
from authz_service.model_apis.logprobs import beside, beside_message, echoes_of
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_completions import OpenAiCompletions
from authz_service.view.answer import AnswerField, Echo
from authz_service.view.request import Path, RequestView

WIRE = File(__file__).parent / "wire"


@dataclass
class Frame:
    fields: list[AnswerField] = field(default_factory=list)
    cleared: list[Path] = field(default_factory=list)


def entry(token: str, *others: str, **said: Any) -> dict[str, Any]:
    said = {"token": token, "logprob": -0.5, "bytes": list(token.encode())} | said
    return said | ({"top_logprobs": [entry(other) for other in others]} if others else {})


def cut_as(value: Any, text: str) -> dict[tuple[int, int], tuple[Path | None, set[Path]]] | None:
    echoes = echoes_of(value, ("l",), text, Frame())
    if echoes is None:
        return None
    return {(echo.start, echo.end): (echo.path, set(echo.shadows)) for echo in echoes}


def test_each_token_stands_for_its_characters_and_hides_what_tells_it() -> None:
    value = [entry("jö", "x", id=7), entry("rg", prob=0.5)]
    assert cut_as(value, "jörg") == {
        (0, 2): (
            ("l", 0, "token"),
            {("l", 0, "bytes"), ("l", 0, "logprob"), ("l", 0, "id"), ("l", 0, "top_logprobs")},
        ),
        (2, 4): (("l", 1, "token"), {("l", 1, "bytes"), ("l", 1, "logprob"), ("l", 1, "prob")}),
    }
    assert cut_as({"content": value, "refusal": None}, "jörg") is not None


def test_the_lists_of_legacy_completions_stand_for_the_same() -> None:
    value: dict[str, Any] = {
        "tokens": ["jo", "hn"],
        "token_logprobs": [None, -0.5],
        "top_logprobs": [None, {"hn": -0.5, "x": -1.5}],
        "text_offset": [0, 2],
    }
    frame = Frame()
    assert echoes_of(value, ("l",), "john", frame) == (
        Echo(0, 2, ("l", "tokens", 0), (("l", "token_logprobs", 0), ("l", "top_logprobs", 0))),
        Echo(2, 4, ("l", "tokens", 1), (("l", "token_logprobs", 1), ("l", "top_logprobs", 1))),
    )
    assert [(f.text, f.path, f.echoes[0].shadows) for f in frame.fields] == [
        ("x", ("l", "top_logprobs", 1), (("l", "top_logprobs", 1),)),
    ]


def test_alternatives_are_looked_at_each_for_itself() -> None:
    frame = Frame()
    part = entry("\ufffd", bytes=[240])
    value = [entry("a", "b") | {"top_logprobs": [entry("b"), part, entry("")]}]
    assert echoes_of(value, (), "a", frame) is not None
    assert [(f.text, f.is_whole) for f in frame.fields] == [("b", True), ("\ufffd", True)]
    first, second = (0, "top_logprobs", 0), (0, "top_logprobs", 1)
    assert frame.fields[0].echoes == (Echo(0, 1, None, ((*first, "bytes"), (*first, "logprob"))),)
    assert frame.cleared == [(*second, "bytes"), (*second, "logprob")]


@pytest.mark.parametrize(
    "value",
    [
        [entry("ab")],
        [entry("abc", bytes=[1])],
        [entry("abc", note="x")],
        [entry("abc", id=4111111111111111)],
        [entry("abc", logprob="x")],
        [entry("abc") | {"top_logprobs": [entry("x", note="y")]}],
        [entry("abc") | {"top_logprobs": [5]}],
        [entry("abc") | {"top_logprobs": {"x": -1}}],
        [{"logprob": -1}],
        ["abc"],
        "abc",
        {"content": [entry("abc")], "note": "x"},
        {"content": [entry("abc")], "refusal": [entry("x")]},
        {"tokens": ["ab"]},
        {"tokens": ["abc"], "note": ["x"]},
        {"tokens": ["abc"], "token_logprobs": []},
        {"tokens": ["abc"], "token_logprobs": ["x"]},
        {"tokens": ["abc"], "text_offset": [4111111111111111]},
        {"tokens": ["abc"], "top_logprobs": ["x"]},
        {"tokens": ["abc"], "top_logprobs": [{"x": "y"}]},
        {"tokens": "abc"},
    ],
)
def test_what_says_anything_else_is_not_taken(value: Any) -> None:
    assert cut_as(value, "abc") is None
    frame = Frame([AnswerField("c", ("t",), "abc")])
    beside(value, ("l",), [("t",)], frame)
    assert frame.cleared[-1:] == [("l",)]


def test_they_go_to_the_text_that_they_say() -> None:
    frame = Frame([AnswerField("a", ("t",), "other"), AnswerField("b", ("u",), "abc")])
    beside([entry("abc")], ("l",), [("t",), ("u",)], frame)
    assert [len(field.echoes) for field in frame.fields] == [0, 1]
    beside([entry("abc")], ("l",), [("v",)], frame)
    assert frame.cleared == [("l",)]


def test_those_of_a_message_go_by_its_keys() -> None:
    frame = Frame([AnswerField("a", ("m", "content"), "abc"), AnswerField("b", ("m", "refusal"), "no")])
    beside_message({"content": [entry("abc")], "refusal": [entry("no")]}, ("l",), ("m",), frame)
    assert [len(field.echoes) for field in frame.fields] == [1, 1]
    beside_message({"content": [entry("x")], "refusal": None}, ("l",), ("m",), frame)
    beside_message({"content": None, "reasoning": [entry("x")]}, ("l",), ("m",), frame)
    assert frame.cleared == [("l",), ("l",)]


def test_nothing_is_nothing() -> None:
    frame = Frame([AnswerField("a", ("t",), "abc")])
    nothing: tuple[Any, ...] = (None, [], {})
    for value in nothing:
        beside(value, ("l",), [("t",)], frame)
    assert frame.cleared == []
    assert cut_as([entry("abc")], "") is None


RECORDED: dict[str, tuple[ModelApi, str]] = {
    "llamacpp_answer_logprobs.json": (OpenAiChat(), "chat_completions"),
    "llamacpp_stream_logprobs.sse": (OpenAiChat(), "chat_completions"),
    "llamacpp_completion_logprobs.json": (OpenAiCompletions(), "completions"),
    "llamacpp_native_logprobs.json": (LlamaCpp(), "completion"),
    "llamacpp_native_logprobs.sse": (LlamaCpp(), "completion"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_every_token_of_a_recorded_answer_stands_for_its_characters(name: str) -> None:
    api, operation = RECORDED[name]
    reader = api.answer_reader(RequestView(api.name, operation, "m", True, ()))
    text = (WIRE / name).read_text()
    lines = [line.removeprefix("data: ") for line in text.split("\n")]
    frames = [reader.read(json.loads(line)) for line in lines if line.startswith("{")]
    assert [path for frame in frames for path in frame.cleared] == []
    told = [
        (f.text, e) for frame in frames for f in frame.fields for e in f.echoes if e.path and not f.is_whole
    ]
    assert "".join(text[echo.start : echo.end] for text, echo in told).startswith("Hello there")
    assert all({path[-1] for path in echo.shadows} >= {"bytes", "id"} for _, echo in told)
