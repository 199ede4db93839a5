"""Answers of OpenAI's responses: every telling of a text at its place, and nothing that is no answer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, get_args

import pytest
from openai.types.responses import ResponseStreamEvent
from tests.model_apis.recorded import recorded

from authz_service.errors import Unreadable
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.openai_responses import OpenAiResponses
from authz_service.model_apis.openai_responses_answer import MOST_KEPT
from authz_service.model_apis.openai_responses_words import EVENT_NAMES
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.kept import Kept, Result
from authz_service.view.request import RequestView, TextKind

REQUEST = RequestView("openai_responses", "responses", "m", True, ())
Told = dict[tuple[str, int], str]


def frames(documents: Iterable[Any]) -> list[AnswerFrame]:
    reader = OpenAiResponses().answer_reader(REQUEST)
    return [reader.read(document) for document in documents]


def told(read: Iterable[AnswerFrame]) -> Told:
    """By place and telling; fails where a text goes on after its end."""
    texts: Told = defaultdict(str)
    ended: set[str] = set()
    for frame in read:
        for field in frame.fields:
            if field.channel.startswith("items/"):
                assert field.is_whole or field.channel not in ended
                texts[field.part or field.channel, field.copy] += field.text
        ended.update(frame.ended)
    return dict(texts)


def delta(kind: str = "output_text", text: Any = "x", **where: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "item_id": "i", "content_index": 0, "delta": text} | where


def done(kind: str = "output_text", **said: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.done", "item_id": "i", "content_index": 0} | said


def completed(*items: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"object": "response", "output": list(items)}}


def refusal(*documents: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        frames(documents)
    assert (caught.value.code, caught.value.status) == ("unreadable_answer", 502)


def test_a_recorded_stream_is_read_with_each_telling() -> None:
    read = frames(recorded("llamacpp_response_text.sse"))
    texts = told(read)
    place = "items/0/content/0/text"
    assert [texts[place, copy] for copy in range(5)] == ["john4M3nWD3"] * 5
    assert (place, 5) not in texts
    assert read[-1].usage == Usage(24, 8)
    assert [frame.closes for frame in read] == [False] * (len(read) - 1) + [True]


def test_a_recorded_response_is_read() -> None:
    (frame,) = frames(recorded("llamacpp_response_text.json"))
    assert told([frame])["items/0/content/0/text", 0] == "john4M3nWD3"
    assert (frame.usage, frame.closes) == (Usage(24, 8), True)


@pytest.mark.parametrize(("name", "tellings"), [("tools.sse", 3), ("tools.json", 1)])
def test_the_arguments_of_a_recorded_tool_call_are_json(name: str, tellings: int) -> None:
    read = frames(recorded(f"llamacpp_response_{name}"))
    texts = told(read)
    arguments = [texts["items/0/arguments", copy] for copy in range(tellings)]
    assert arguments == ['{ "to" :"john@example.org"}'] * tellings
    fields = [f for frame in read for f in frame.fields if f.channel == "items/0/arguments"]
    assert {field.kind for field in fields} == {TextKind.JSON}


def test_every_event_of_the_sdk_may_have_its_name() -> None:
    events = get_args(get_args(ResponseStreamEvent)[0])
    names = {get_args(event.model_fields["type"].annotation)[0] for event in events}
    assert names <= EVENT_NAMES


@pytest.mark.parametrize(
    ("kind", "where", "key", "place"),
    [
        ("output_text", {"content_index": 2}, "text", "content/2/text"),
        ("refusal", {"content_index": 1}, "refusal", "content/1/refusal"),
        ("reasoning_text", {"content_index": 0}, "text", "content/0/text"),
        ("reasoning_summary_text", {"summary_index": 1}, "text", "summary/1/text"),
        ("function_call_arguments", {}, "arguments", "arguments"),
        ("mcp_call_arguments", {}, "arguments", "arguments"),
        ("custom_tool_call_input", {}, "input", "input"),
        ("code_interpreter_call_code", {}, "code", "code"),
        ("shell_call_command", {"command_index": 1}, "command", "action/commands/1"),
    ],
)
def test_what_comes_in_deltas_is_told_again_at_its_end(kind: str, where: Any, key: str, place: str) -> None:
    here = {"item_id": "i", "output_index": 4, **where}
    start = {"type": f"response.{kind}", **here}
    texts = told(
        frames(
            [
                {**start, "type": f"response.{kind}.delta", "delta": "a"},
                {**start, "type": f"response.{kind}.delta", "delta": "b"},
                {**start, "type": f"response.{kind}.done", key: "ab"},
            ]
        )
    )
    assert texts == {(f"items/0/{place}", 0): "ab", (f"items/0/{place}", 1): "ab"}


def test_deltas_go_on_with_what_an_item_or_a_part_began_with() -> None:
    item = {"id": "i", "type": "function_call", "name": "f", "arguments": '{"a":'}
    begun = {"type": "response.output_item.added", "output_index": 0, "item": item}
    texts = told(frames([begun, delta("function_call_arguments", "1}")]))
    assert texts["items/0/arguments", 0] == '{"a":1}'
    part = {"type": "response.content_part.added", "item_id": "i", "content_index": 0}
    begun = part | {"part": {"type": "output_text", "text": "a", "annotations": []}}
    assert told(frames([begun, delta(text="b")])) == {("items/0/content/0/text", 0): "ab"}


def test_items_are_told_apart_by_either_name() -> None:
    both, by_id, by_index = (
        delta(text="a", output_index=1),
        delta(text="b"),
        delta(text="c", output_index=1, item_id=None),
    )
    other = delta(text="d", output_index=0, item_id="other")
    texts = told(frames([both, by_id, by_index, other]))
    assert texts == {("items/0/content/0/text", 0): "abc", ("items/1/content/0/text", 0): "d"}
    refusal(both, other, delta(output_index=0))


def test_parts_without_an_index_are_told_apart_as_they_begin() -> None:
    added = {
        "type": "response.content_part.added",
        "item_id": "i",
        "part": {"type": "output_text", "text": ""},
    }
    said = {"type": "response.output_text.delta", "item_id": "i"}
    texts = told(frames([added, said | {"delta": "a"}, added, said | {"delta": "b"}]))
    assert texts == {("items/0/content/0/text", 0): "a", ("items/0/content/1/text", 0): "b"}


def test_a_text_that_was_never_told_before_is_told_first_by_the_whole_response() -> None:
    item = {"id": "i", "type": "message", "content": [{"type": "output_text", "text": "x"}]}
    new = item | {"id": "new", "content": [{"type": "output_text", "text": "y"}]}
    texts = told(frames([delta(text="x"), completed(item, new)]))
    places = {place: copy for place, copy in texts if place.endswith("text")}
    assert places == {"items/0/content/0/text": 1, "items/1/content/0/text": 0}


def test_an_unknown_delta_goes_on_at_a_place_of_its_own() -> None:
    event = {"type": "response.new_thing.delta", "item_id": "i", "thing_index": 3}
    texts = told(frames([event | {"delta": {"words": "a"}}, event | {"delta": {"words": "b"}}]))
    assert texts == {("items/0/~/response.new_thing/thing_index=3/words", 0): "ab"}
    shell = {"type": "response.shell_call_output_content.delta", "item_id": "i", "command_index": 0}
    texts = told(
        frames([shell | {"delta": {"stdout": "a"}}, shell | {"delta": {"stdout": "b", "stderr": "c"}}])
    )
    place = "items/0/~/response.shell_call_output_content/command_index=0"
    assert texts == {(f"{place}/stdout", 0): "ab", (f"{place}/stderr", 0): "c"}


def test_what_stands_beside_the_texts_is_looked_at() -> None:
    note = {"type": "url_citation", "url": "https://example.com/jane", "title": "Jane"}
    event = {"type": "response.output_text.annotation.added", "item_id": "i", "annotation": note}
    (frame,) = frames([event])
    assert {"https://example.com/jane", "Jane", "i"} <= {field.text for field in frame.fields}
    error = {"type": "error", "code": "oh", "message": "no Jane", "param": None, "sequence_number": 3}
    (frame,) = frames([error])
    assert frame.closes
    assert {"oh", "no Jane"} <= {field.text for field in frame.fields}
    (frame,) = frames([{"error": {"message": "no Jane"}}])
    assert frame.closes


def test_every_number_that_a_tool_is_called_with_is_looked_at() -> None:
    call = {"type": "tool_search_call", "id": "t", "arguments": {"pin": 1234, "deep": [{"n": 5}]}}
    (frame,) = frames([completed(call)])
    assert {"1234", "5", "pin", "deep"} <= {field.text for field in frame.fields}


def test_media_and_what_is_encrypted_are_cleared() -> None:
    image = {"type": "image_generation_call", "id": "g", "result": "iVBORw0"}
    sealed = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAAA"}
    sound = {"type": "response.audio.delta", "delta": "UklGR"}
    partial = {"type": "response.image_generation_call.partial_image", "partial_image_b64": "iVBORw0"}
    read = frames([sound, partial, completed(image, sealed)])
    output = ("response", "output")
    assert [frame.cleared for frame in read] == [
        (("delta",),),
        (("partial_image_b64",),),
        ((*output, 0, "result"), (*output, 1, "encrypted_content")),
    ]
    assert not [f for frame in read for f in frame.fields if f.text.startswith(("iVB", "gAAAA", "UklGR"))]


def test_a_media_event_without_media_has_nothing_to_clear() -> None:
    (frame,) = frames([{"type": "response.audio.delta", "sequence_number": 1}])
    assert frame.cleared == ()


def test_log_probabilities_go_with_their_text() -> None:
    tokens = [{"token": "jo", "logprob": -0.1, "bytes": [106, 111], "top_logprobs": []}, {"token": "hn"}]
    (frame,) = frames([delta(text="john", logprobs=tokens)])
    (field,) = [f for f in frame.fields if f.channel.startswith("items/")]
    assert [echo.path for echo in field.echoes] == [("logprobs", 0, "token"), ("logprobs", 1, "token")]
    assert frame.cleared == ()
    (frame,) = frames([delta(text="other", logprobs=tokens)])
    assert frame.cleared == (("logprobs",),)
    part = {"type": "output_text", "text": "john", "logprobs": tokens}
    (frame,) = frames([{"type": "response.content_part.done", "item_id": "i", "part": part}])
    first = next(echo.path for field in frame.fields for echo in field.echoes)
    assert first == ("part", "logprobs", 0, "token")


def test_what_is_no_answer_is_refused() -> None:
    refusal("text")
    refusal({"choices": []})
    refusal({"object": "response", "output": []}, {"object": "response", "output": []})
    refusal({"object": "response", "output": []}, completed())
    refusal(completed(), {"object": "response", "output": []})
    refusal(completed("text"))
    refusal(delta(text=5))
    refusal(delta(), done(text="x"), delta())
    refusal(delta(content_index=-1))
    refusal(delta(output_index=5000))
    refusal(delta(), completed(), delta())
    refusal({"type": "response.output_item.added", "item": {"id": "i", "content": ["text"]}})


def test_an_error_is_raised_by_the_sdk_and_has_the_shape_of_the_reference() -> None:
    error = ApiError(502, "answer_denied", "No.", "ses_1", {"rule": "r"})
    event = OpenAiResponses().error_event(error)
    assert event.startswith(b"event: error\ndata: ")
    assert event.endswith(b"\n\n")
    said = json.loads(event.split(b"data: ")[1])
    assert (said["type"], said["code"], said["message"], said["param"]) == (
        "error",
        "answer_denied",
        "No.",
        None,
    )
    assert said["error"]["session"] == "ses_1"


def test_each_result_that_the_server_keeps_is_named_once_by_the_first_frame_that_tells_of_it() -> None:
    head = {"id": "resp_1", "object": "response", "conversation": {"id": "conv_1"}}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    read = frames(
        [
            {"type": "response.created", "response": head | {"output": []}},
            {"type": "response.in_progress", "response": head | {"output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            delta(item_id="msg_1", output_index=0),
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": head | {"output": [item, {"type": "x", "id": "y"}]}},
        ]
    )
    response, conversation = Kept(Result.RESPONSE, "resp_1"), Kept(Result.CONVERSATION, "conv_1")
    message, other = Kept(Result.ITEM, "msg_1"), Kept(Result.ITEM, "y")
    assert [frame.kept for frame in read] == [(response, conversation), (), (message,), (), (), (other,)]
    (whole,) = frames([head | {"output": [item]}])
    assert whole.kept == (response, conversation, message)


@pytest.mark.parametrize("value", [None, "", 1, ["a"], {"id": None}, {"name": "a"}])
def test_what_has_no_name_is_not_kept(value: Any) -> None:
    (whole,) = frames([{"id": value, "object": "response", "conversation": value, "output": []}])
    assert whole.kept == ()


def test_of_an_answer_with_ever_more_items_the_first_thousand_names_are_told() -> None:
    items = [{"type": "message", "id": f"msg_{number}", "content": []} for number in range(MOST_KEPT)]
    (whole,) = frames([{"id": "resp_1", "object": "response", "output": items}])
    assert len(whole.kept) == MOST_KEPT
