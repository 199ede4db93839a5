"""Answers of Anthropic's messages: every text on its channel, and nothing that is no answer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from tests.model_apis.recorded import recorded

from authz_service.errors import Unreadable
from authz_service.model_apis.anthropic import Anthropic
from authz_service.model_apis.anthropic_errors import anthropic_error, anthropic_error_event
from authz_service.model_apis.base import ApiError
from authz_service.view.answer import AnswerFrame, Usage
from authz_service.view.request import RequestView, TextKind

REQUEST = RequestView("anthropic", "messages", "m", True, (), tools=("send_mail",))


def frames(documents: Iterable[Any]) -> list[AnswerFrame]:
    reader = Anthropic().answer_reader(REQUEST)
    return [reader.read(document) for document in documents]


def spoken(read: Iterable[AnswerFrame]) -> dict[str, str]:
    """The channels of the blocks; fails where one goes on after it ended."""
    texts: dict[str, str] = defaultdict(str)
    ended: set[str] = set()
    for frame in read:
        for field in frame.fields:
            assert field.channel not in ended
            if field.channel.startswith("blocks/"):
                texts[field.channel] += field.text
        ended.update(frame.ended)
    assert texts.keys() <= ended
    return dict(texts)


def start(index: int = 0, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int = 0, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def stop(index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


BEGIN = {"type": "message_start", "message": {"id": "m", "type": "message", "content": [], "usage": {}}}
TEXT: dict[str, Any] = {"type": "text", "text": ""}


def refusal(*documents: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        frames(documents)
    assert (caught.value.code, caught.value.status) == ("unreadable_answer", 502)


def test_a_recorded_stream_is_read() -> None:
    read = frames(recorded("llamacpp_messages_text.sse"))
    assert spoken(read) == {"blocks/0/text": "john4M3nW"}
    assert [frame.usage for frame in read if frame.usage][-1] == Usage(24, 6)
    assert [frame.closes for frame in read][-2:] == [True, True]


def test_a_recorded_message_is_read() -> None:
    (frame,) = frames(recorded("llamacpp_messages_text.json"))
    assert "john4M3nW" in [field.text for field in frame.fields]
    assert frame.usage == Usage(24, 6)


def test_a_documented_stream_of_thoughts_and_a_tool_is_read() -> None:
    texts = spoken(frames(recorded("anthropic_stream_tools.sse")))
    assert texts == {
        "blocks/0/thinking": "I should look it up.",
        "blocks/0/signature": "EqQBCgIYAhIM",
        "blocks/1/text": "One moment.",
        "blocks/2/partial_json": '{"location": "San Francisco, CA"}',
    }


def test_the_input_of_a_tool_is_json() -> None:
    begin = start(type="tool_use", id="t", name="f", input={})
    _, frame = frames([begin, delta(type="input_json_delta", partial_json='{"a":')])
    assert [field.kind for field in frame.fields] == [TextKind.JSON]


def test_every_number_of_a_tools_whole_input_is_looked_at() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"pin": 1234, "deep": [{"n": 5}]}}
    (frame,) = frames([{"type": "message", "role": "assistant", "content": [block]}])
    assert {"1234", "5", "pin", "deep", "n"} <= {field.text for field in frame.fields}


def test_what_nobody_named_is_looked_at_in_each_frame() -> None:
    _, first, second = frames(
        [
            start(**TEXT, note="a note"),
            delta(type="citations_delta", citation={"type": "char_location", "cited_text": "quoted"}),
            delta(type="new_delta", words="of a kind", n=4111111111111111),
        ]
    )
    assert [field.text for field in first.fields] == ["quoted"]
    assert {"new_delta", "words", "of a kind", "n", "4111111111111111"} == {f.text for f in second.fields}


def test_tokens_and_their_alternatives_are_cleared() -> None:
    _, frame = frames([start(**TEXT), delta(type="text_delta", text="x", logprobs=[{"token": "x"}], ids=[1])])
    assert frame.cleared == (("delta", "logprobs"), ("delta", "ids"))


def test_what_is_no_answer_is_refused() -> None:
    refusal("text")
    refusal({"choices": []})
    refusal({"type": "message_start", "message": {"content": [{"type": "text", "text": "x"}]}})
    refusal(BEGIN, delta(type="text_delta", text="x"))
    refusal(BEGIN, start(**TEXT), start(**TEXT))
    refusal(BEGIN, start(**TEXT), stop(), delta(type="text_delta", text="x"))
    refusal(BEGIN, start(**TEXT), stop(), start(**TEXT))
    refusal(BEGIN, stop())
    refusal(BEGIN, start(-1, **TEXT))
    refusal(BEGIN, start(5000, **TEXT))
    refusal(BEGIN, start(**TEXT), delta(type="text_delta", text=5))
    refusal({"type": "message", "content": []}, {"type": "message", "content": []})
    refusal(BEGIN, {"type": "message", "content": []})
    refusal({"type": "message", "content": ["x"]})


def test_errors_have_the_shape_of_the_api() -> None:
    error = ApiError(409, "approval_pending", "Wait.", "ses_1", {"hold": "hold_1"})
    body = json.loads(anthropic_error(error))
    assert body == {
        "type": "error",
        "error": {
            "hold": "hold_1",
            "type": "invalid_request_error",
            "message": "Wait.",
            "code": "approval_pending",
        },
        "request_id": "ses_1",
    }
    assert anthropic_error_event(error) == b"event: error\ndata: " + anthropic_error(error) + b"\n\n"
    assert json.loads(anthropic_error(ApiError(503, "x", "y")))["error"]["type"] == "overloaded_error"
    assert json.loads(anthropic_error(ApiError(502, "x", "y")))["error"]["type"] == "api_error"
