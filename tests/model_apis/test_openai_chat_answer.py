"""Answers: every text on its channel, however the answer is cut into frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.model_apis.openai_chat_frames import (
    Wire,
    call,
    channels,
    chunk,
    frames,
    message,
    refusal,
    unseen,
    wholes,
)

from authz_service.errors import Unreadable
from authz_service.view.answer import Usage
from authz_service.view.request import TextKind


def test_a_streams_pieces_make_up_each_choices_text(wire: Wire) -> None:
    read = frames(wire("openai_stream_text.sse"))
    texts = channels(read)
    assert texts["choices/0/content"] == "Hello there"
    assert texts["choices/1/content"] == "Other words"
    assert read[-1].usage == Usage(prompt_tokens=5, completion_tokens=4)
    assert read[2].cleared == (("choices", 0, "logprobs"),)
    assert [frame.paused for frame in read] == [()] * len(read)


def test_what_the_server_says_of_itself_is_text_too() -> None:
    said = {"id": "a", "model": "b", "system_fingerprint": "c", "service_tier": "d", "object": "e"}
    (frame,) = frames([{**said, "choices": []}])
    assert wholes(frame) == {(key,): text for key, text in said.items()}
    assert channels([frame]) == {}


def test_a_large_number_beside_the_choices_is_text_and_a_count_or_a_time_is_none() -> None:
    usage = {"prompt_tokens": 12, "note": 4111111111111111}
    (frame,) = frames([{"choices": [], "usage": usage, "created": 1795224974, "at": {"created": 4e15}}])
    assert {field.path: field.text for field in frame.fields if not field.is_key} == {
        ("usage", "note"): "4111111111111111",
        ("at", "created"): "4000000000000000.0",
    }


def test_a_number_in_a_choice_that_is_larger_than_a_count_or_a_token_is_cleared() -> None:
    choice = {"index": 0, "stop_reason": 4111111111111111, "matched_stop": 128009, "delta": {"created": 5}}
    (frame,) = frames([{"choices": [choice]}])
    assert frame.cleared == (("choices", 0, "stop_reason"), ("choices", 0, "delta", "created"))


def test_keys_with_slashes_share_no_channel_with_those_that_they_look_like() -> None:
    within = message({"content": "x", "a": {"b": "one"}, "a/b": "two"}, c={"d": "one"})
    within["choices"][0]["c/d"] = "two"
    (frame,) = frames([within])
    values = [field for field in frame.fields if not field.is_whole]
    assert len({field.channel for field in values}) == len(values) == 5


def test_tool_calls_side_by_side_have_channels_of_their_own(wire: Wire) -> None:
    read = frames(wire("openai_stream_tools.sse"))
    texts = channels(read)
    assert {name: text for name, text in texts.items() if name.startswith("choices/")} == {
        "choices/0/tool_calls/0/arguments": '{"city":1}',
        "choices/0/tool_calls/1/name": "invented",
        "choices/0/tool_calls/1/arguments": "{}",
    }
    said = {text for frame in read for path, text in wholes(frame).items() if path[0] == "choices"}
    assert said == {"call_1", "get_weather", "call_2"}
    arguments = [field for frame in read for field in frame.fields if field.channel.endswith("arguments")]
    assert {field.kind for field in arguments} == {TextKind.JSON}


def test_a_known_tools_name_is_whole_and_a_spelled_one_when_its_arguments_begin() -> None:
    read = frames([chunk(call(name="get_weather")), chunk(call(1, name="in")), chunk(call(1, name="vented"))])
    assert [frame.ended for frame in read] == [(), (), ()]
    assert [field.is_whole for frame in read for field in frame.fields] == [True, False, False]
    read = frames([chunk(call(name="invented")), chunk(call(arguments="{"))])
    assert [frame.ended for frame in read] == [(), ("choices/0/tool_calls/0/name",)]
    read = frames([chunk(call(arguments="{", name="invented"))])
    assert read[0].ended == ("choices/0/tool_calls/0/name",)


def test_a_name_that_goes_on_after_its_end_is_refused() -> None:
    refusal(chunk(call(name="get_weather")), chunk(call(name="_and_more")))
    refusal(chunk(call(name="invented")), chunk(call(arguments="{")), chunk(call(name="more")))


def test_a_server_may_repeat_a_known_name_and_an_id_with_each_piece() -> None:
    piece = {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "get_weather", "arguments": "{"}}]}
    read = frames([chunk(piece), chunk(piece)])
    assert channels(read) == {"choices/0/tool_calls/0/arguments": "{{"}
    assert list(wholes(read[1]).values()) == ["c1", "get_weather"]


def test_a_whole_answer_names_the_same_channels(wire: Wire) -> None:
    document = wire("openai_answer_tools.json")
    (frame,) = frames([document])
    texts = channels([frame])
    assert texts["choices/0/content"] == "Let me look."
    assert texts["choices/0/tool_calls/0/arguments"] == '{"city":"Bern"}'
    assert texts["choices/0/tool_calls/1/input"] == "ls"
    assert "https://example.com/a" in texts.values()
    assert frame.cleared == (("choices", 0, "logprobs"),)
    assert frame.usage == Usage(prompt_tokens=12, completion_tokens=9)
    assert unseen(document, frame) == []


def test_what_llama_cpp_streams_is_what_it_says_whole_and_has_its_usage_at_the_end(wire: Wire) -> None:
    (whole,) = frames([wire("llamacpp_answer_text.json")])
    pieces = frames(wire("llamacpp_stream_text.sse"))
    assert channels([whole])["choices/0/content"] == channels(pieces)["choices/0/content"] == "Hello there."
    assert whole.usage == pieces[-1].usage == Usage(prompt_tokens=24, completion_tokens=10)
    assert not any(frame.cleared for frame in (whole, *pieces))


def test_a_tool_call_of_llama_cpp_is_one_channel_over_its_pieces(wire: Wire) -> None:
    texts = channels(frames(wire("llamacpp_stream_tools.sse")))
    assert texts["choices/0/tool_calls/0/name"] == "send_mail"
    assert json.loads(texts["choices/0/tool_calls/0/arguments"]) == {"to": "john@example.org"}


def test_what_llama_cpp_says_for_debugging_is_read_but_for_its_tokens(wire: Wire) -> None:
    document = wire("llamacpp_answer_verbose.json")
    (frame,) = frames([document])
    assert unseen(document, frame) == []
    assert frame.cleared == (
        ("__verbose", "tokens"),
        ("__verbose", "generation_settings", "preserved_tokens"),
    )
    assert wholes(frame)["__verbose", "content"] == "Hello there."


@pytest.mark.parametrize(
    "name",
    [
        "openai_stream_text.sse",
        "openai_stream_tools.sse",
        "vllm_stream_reasoning.sse",
        "vllm_stream_error.sse",
        "llamacpp_stream_timings.sse",
        "llamacpp_stream_text.sse",
        "llamacpp_stream_tools.sse",
        "demo_stream_record.sse",
    ],
)
def test_no_string_of_a_stream_goes_by_unseen(wire: Wire, name: str) -> None:
    documents = wire(name)
    for document, frame in zip(documents, frames(documents), strict=True):
        assert unseen(document, frame) == []


def test_an_error_in_a_stream_is_text_and_complete(wire: Wire) -> None:
    error = frames(wire("vllm_stream_error.sse"))[1]
    assert "The request text was cut" in [field.text for field in error.fields]
    assert all(field.is_whole for field in error.fields)


def test_what_stands_beside_the_choices_is_complete_in_each_frame(wire: Wire) -> None:
    for frame in frames(wire("llamacpp_stream_timings.sse")):
        beside = [field for field in frame.fields if field.path[0] != "choices"]
        assert beside
        assert all(field.is_whole for field in beside)


def test_unknown_strings_of_a_choice_go_on_over_the_frames() -> None:
    texts = channels(frames([chunk({"thinking": "4111 1111"}), chunk({"thinking": " 1111 1111"})]))
    assert texts == {"choices/0/~delta/thinking": "4111 1111 1111 1111"}


def test_content_in_parts_goes_on_by_its_parts() -> None:
    part = [{"type": "text", "text": "ab"}]
    read = frames([chunk({"content": part}), chunk({"content": part + part})])
    assert channels(read) == {"choices/0/content": "ababab"}
    assert [field.part for frame in read for field in frame.fields] == [
        f"choices/0/content/{i}" for i in (0, 0, 1)
    ]
    with pytest.raises(Unreadable, match="another has begun"):
        frames([chunk({"content": part + part}), chunk({"content": part})])


def test_an_unknown_key_is_a_text_of_its_own() -> None:
    (frame,) = frames([chunk({"a@b.example": 1})])
    assert [(field.text, field.is_key, field.path[-1]) for field in frame.fields] == [
        ("a@b.example", True, "a@b.example")
    ]
    assert frame.cleared == (("choices", 0, "delta", "a@b.example"),)


def test_keys_with_slashes_cannot_take_another_channels_name() -> None:
    texts = channels(frames([chunk({"x": {"a/b": "one", "a": {"b": "two"}}})]))
    assert texts["choices/0/~delta/x/a~1b"] == "one"
    assert texts["choices/0/~delta/x/a/b"] == "two"


@pytest.mark.parametrize(
    "documents",
    [
        [[]],
        [None],
        ["text"],
        [{}],
        [{"output": "text"}],
        [{"choices": {}}],
        [{"choices": ["x"]}],
        [{"choices": [{"delta": {"content": "x"}}]}],
        [{"choices": [{"index": "0", "delta": {}}]}],
        [{"choices": [{"index": True, "delta": {}}]}],
        [{"choices": [{"index": -1, "delta": {}}]}],
        [{"choices": [{"index": 1024, "delta": {}}]}],
        [{"choices": [{"index": 0, "delta": {}, "message": {}}]}],
        [{"choices": [{"index": 0, "message": {"content": "a"}}] * 2}],
        [message({"content": "a"}), message({"content": "b"})],
        [message({"content": "a"}), chunk({"content": "b"})],
        [chunk({"content": "a"}), message({"content": "a"})],
        [chunk("text")],
        [chunk({"content": 5})],
        [chunk({"reasoning": True})],
        [chunk({"tool_calls": {}})],
        [chunk({"tool_calls": ["x"]})],
        [chunk({"tool_calls": [{"function": {"arguments": "x"}}]})],
        [chunk({"tool_calls": [{"index": 0, "function": "x"}]})],
        [chunk(call(arguments={"a": 1}))],
        [chunk(call(name=5))],
        [chunk({"function_call": {"arguments": 5}})],
    ],
)
def test_what_is_no_answer_of_this_dialect_is_refused(documents: list[Any]) -> None:
    assert refusal(*documents).startswith("the answer cannot be read: ")


def test_a_refusal_never_repeats_the_answer() -> None:
    assert "AKIAIOSFODNN7EXAMPLE" not in refusal(chunk(call(AKIAIOSFODNN7EXAMPLE={}, name=5)))
