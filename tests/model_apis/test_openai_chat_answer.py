"""Answers: every text on its channel, however the answer is cut into frames."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_words import KEYS, SELECTING, selects
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import Path, RequestView, TextKind

Wire = Callable[[str], Any]
CHAT = OpenAiChat()
REQUEST = RequestView("openai_chat", "chat_completions", "m", True, (), tools=("get_weather",))


def frames(documents: Iterable[Any]) -> list[AnswerFrame]:
    reader = CHAT.answer_reader(REQUEST)
    return [reader.read(document) for document in documents]


def channels(read: Iterable[AnswerFrame]) -> dict[str, str]:
    """Each channel's text over all frames, without whole texts; fails where one goes on after it ended."""
    texts: dict[str, str] = defaultdict(str)
    ended: set[str] = set()
    for frame in read:
        for field in frame.fields:
            if not field.is_whole:
                assert field.channel not in ended
                texts[field.channel] += field.text
        ended.update(frame.ended)
    return dict(texts)


def wholes(frame: AnswerFrame) -> dict[Path, str]:
    """The values that are complete in a frame, by their paths."""
    return {field.path: field.text for field in frame.fields if field.is_whole and not field.is_key}


def spoken(documents: Iterable[Any]) -> dict[str, str]:
    """The channels of the choices, and the names of known tools."""
    read = frames(documents)
    texts = channels(read)
    for frame in read:
        for path, text in wholes(frame).items():
            if path[-1] == "name":
                texts["name"] = text
    return texts


def chunk(delta: Any, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, **choice}]}


def message(said: Any, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"object": "chat.completion", "choices": [{"index": index, "message": said, **choice}]}


def call(index: int = 0, **function: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "function": function}]}


def refusal(*documents: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        frames(documents)
    assert (caught.value.code, caught.value.status) == ("unreadable_answer", 502)
    return str(caught.value)


def unseen(document: Any, frame: AnswerFrame) -> list[Path]:
    """Paths of strings and foreign keys that the frame neither shows nor clears."""
    values = {field.path: field.text for field in frame.fields if not field.is_key}
    named = {field.path for field in frame.fields if field.is_key}

    def walk(value: Any, path: Path, key: str) -> Iterator[Path]:
        if path in frame.cleared:
            return
        if isinstance(value, dict):
            for name, item in value.items():
                if name not in KEYS and (*path, name) not in named:
                    yield (*path, name)
                yield from walk(item, (*path, name), name)
        elif isinstance(value, list):
            if any(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
                yield path
            for i, item in enumerate(value):
                yield from walk(item, (*path, i), key)
        elif isinstance(value, str):
            is_known = value == "" or selects(key, value)
            if not is_known and values.get(path) != value:
                yield path

    return list(walk(document, (), ""))


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


def test_reasoning_is_paused_when_the_answer_begins(wire: Wire) -> None:
    read = frames(wire("vllm_stream_reasoning.sse"))
    texts = channels(read)
    assert texts["choices/0/reasoning"] == texts["choices/0/reasoning_content"] == "Thinking."
    assert texts["choices/0/content"] == "So it is"
    assert [frame.paused for frame in read] == [
        (),
        (),
        (),
        ("choices/0/reasoning", "choices/0/reasoning_content"),
        (),
    ]
    assert read[2].cleared == (("choices", 0, "token_ids"),)


def test_words_are_paused_when_a_tool_is_called() -> None:
    read = frames([chunk({"content": "Let me see"}), chunk(call(name="get_weather"))])
    assert read[1].paused == ("choices/0/content",)


def test_who_comes_back_is_not_paused_again() -> None:
    thought, said = chunk({"reasoning": "a"}), chunk({"content": "b"})
    read = frames([thought, said, thought, said, thought])
    assert [frame.paused for frame in read] == [(), ("choices/0/reasoning",), ("choices/0/content",), (), ()]


def test_what_is_heard_at_the_same_time_pauses_nothing() -> None:
    read = frames([chunk({"content": "a", "reasoning": "b"})] * 2)
    assert [frame.paused for frame in read] == [(), ()]


def test_the_choices_pause_apart() -> None:
    read = frames([chunk({"reasoning": "a"}), chunk({"content": "b"}, index=1)])
    assert read[1].paused == ()


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


words = st.text(st.sampled_from('ab 1@."\\{}é'), min_size=1, max_size=12)
names = st.sampled_from([*sorted(KEYS), "own", "x/y", "~"])
scalars = st.none() | st.booleans() | st.integers(0, 10**6) | words
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(names, anything, max_size=3),
    st.dictionaries(names, anything, max_size=3),
    st.dictionaries(names, anything, max_size=3),
    st.sampled_from(["delta", "message"]),
)
def test_every_string_of_any_frame_is_a_text_or_cleared_or_on_the_selecting_list(
    beside: dict[str, Any], choice: dict[str, Any], said: dict[str, Any], source: str
) -> None:
    choice = {key: value for key, value in choice.items() if key not in ("delta", "message")}
    document = beside | {"choices": [choice | {"index": 0, source: said}]}
    try:
        (frame,) = frames([document])
    except Unreadable:
        return
    assert unseen(document, frame) == []


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, empty ones too."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=200, deadline=None)
@given(st.data(), words, words, words, st.booleans())
def test_any_cut_into_frames_gives_the_channels_of_the_whole(
    data: st.DataObject, thought: str, said: str, arguments: str, is_known: bool
) -> None:
    name = "get_weather" if is_known else "invented"
    function = {"name": name, "arguments": arguments}
    whole = message(
        {"reasoning": thought, "content": said, "tool_calls": [{"id": "c", "function": function}]}
    )
    pieces = [
        *(chunk({"reasoning": piece}) for piece in data.draw(cuts(thought))),
        *(chunk({"content": piece}) for piece in data.draw(cuts(said))),
        chunk(call(name=name, arguments="")),
        *(chunk(call(arguments=piece)) for piece in data.draw(cuts(arguments))),
    ]
    assert spoken(pieces) == spoken([whole])


def replaced(document: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    copied = document.copy()
    copied[path[0]] = replaced(document[path[0]], path[1:], text)
    return copied


odd_deltas = st.sampled_from(
    [
        {},
        {"content": "a"},
        {"content": "a", "role": "assistant"},
        {"content": "a", "reasoning": "b"},
        {"content": "", "reasoning": "b"},
        {"content": None, "reasoning": "b", "reasoning_content": ""},
        {"refusal": "a"},
        {"thinking": "a"},
        {"content": "a", "own": "b"},
        {"content": "a", "token_ids": [1]},
        call(name="get_weather"),
        call(name="invented"),
        call(arguments="{"),
        call(1, arguments="{"),
        call(name="get_weather", arguments="{"),
        call(name="invented", arguments="{"),
        {"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
        {"function_call": {"arguments": "{"}},
        {"content": "a", **call(arguments="{")},
    ]
)
odd_chunks = st.one_of(
    st.builds(chunk, odd_deltas, st.integers(0, 1)),
    st.builds(chunk, odd_deltas, finish_reason=st.sampled_from([None, "stop"])),
    st.builds(lambda d, beside: chunk(d) | beside, odd_deltas, st.sampled_from([{"id": "i"}, {"usage": {}}])),
    st.builds(message, odd_deltas, st.integers(0, 2)),
    st.builds(lambda a, b: {"choices": chunk(a)["choices"] + chunk(b, 1)["choices"]}, odd_deltas, odd_deltas),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(odd_chunks, max_size=8), words, words)
def test_a_frame_that_may_repeat_need_not_be_read_again(documents: list[Any], one: str, two: str) -> None:
    """One reader reads each such frame thrice, the other once: what they say is the same."""
    thorough, brief = CHAT.answer_reader(REQUEST), CHAT.answer_reader(REQUEST)
    for document in documents:
        try:
            frame = thorough.read(document)
        except Unreadable:
            with pytest.raises(Unreadable):
                brief.read(document)
            return
        assert brief.read(document) == frame
        if frame.repeats:
            (piece,) = [field for field in frame.fields if not field.is_whole]
            for text in (one, two):
                fields = tuple(f._replace(text=text) if f is piece else f for f in frame.fields)
                again = thorough.read(replaced(document, piece.path, text))
                assert again == frame._replace(fields=fields)


def test_words_and_arguments_may_repeat_and_what_begins_or_ends_something_does_not() -> None:
    said, begun = chunk({"content": "a"}), chunk(call(name="get_weather", arguments="{"))
    assert [f.repeats for f in frames([said, said, begun, chunk(call(arguments="1"))])] == [
        True,
        True,
        False,
        True,
    ]
    spelled = [chunk(call(name="invented")), *[chunk(call(arguments="{"))] * 2]
    assert [f.repeats for f in frames(spelled)] == [False, False, True]
    for document in (
        message({"content": "a"}),
        chunk({"content": "a"}, finish_reason="stop"),
        chunk({"thinking": "a"}),
        chunk({"content": "a", "reasoning": "b"}),
        chunk({"content": "a"}) | {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ):
        assert not frames([document])[0].repeats


def test_a_word_that_selects_stands_under_a_key_of_the_dialect_that_is_never_cleared() -> None:
    """The reader passes over such a word without a look at its key."""
    for key in SELECTING:
        document = chunk({"content": "a"})
        document["choices"][0][key] = next(iter(SELECTING[key]))
        (frame,) = frames([document])
        assert [field.text for field in frame.fields] == ["a"]
        assert frame.cleared == ()
