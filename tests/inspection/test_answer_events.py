"""Events of an answer as servers write them, and what crosses of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.inspection.answer_pipes import pipe

from authz_service.model_apis.openai_chat import OpenAiChat


def test_an_answer_without_a_body_is_nothing_to_read(kit: Any) -> None:
    for content_type in ("application/json", "text/event-stream"):
        released = kit.run(pipe(kit, content_type=content_type), [])
        assert released.data == b""


def test_what_no_one_judges_does_not_cross(kit: Any) -> None:
    data = json.dumps(kit.chunk(kit.delta(content="hi "))).encode()
    stream = (
        b": comment 1234\n\nid: 1234\nretry: 5\n\nevent: 1234\ndata: "
        + data
        + b"\n\n: x\ndata: "
        + data
        + b"\n\n"
        b"event: alone\n\n: y\ndata: [DONE]\n\n: z\n\n"
    )
    event = b"data: " + data + b"\n\n"
    assert kit.run(pipe(kit), [stream]).data == event + event + b"data: [DONE]\n\n"


def test_an_empty_comment_which_keeps_a_connection_open_crosses_at_once(kit: Any) -> None:
    piece = kit.sse([kit.chunk(kit.delta(content="hi "))], end=False)
    stream = b":\n\n" + piece + b":\n\n:\r\n\r\n" + piece + b"data: [DONE]\n\n"
    assert kit.run(pipe(kit), [stream]).data == stream
    assert pipe(kit).feed(b":\n\n").release == b":\n\n"


def test_an_event_name_of_the_dialect_crosses_and_is_kept_when_the_event_is_edited(kit: Any) -> None:
    api = OpenAiChat()
    api.event_names = frozenset({"message"})
    event = b"event: message\ndata: " + json.dumps(kit.chunk(kit.delta(content="1234 "))).encode() + b"\n\n"
    assert kit.run(pipe(kit, api=api, masked_entities=frozenset()), [event]).data == event
    assert kit.run(pipe(kit, api=api), [event]).data == event.replace(b"1234", b"[NUMBER]")


def test_data_over_several_lines_is_one_document_and_is_edited_as_one(kit: Any) -> None:
    data = json.dumps(kit.chunk(kit.delta(content="1234 ")), indent=1)
    event = ("".join(f"data: {line}\r\n" for line in data.split("\n")) + "\r\n").encode()
    assert kit.run(pipe(kit, masked_entities=frozenset()), [event]).data == event
    edited = kit.run(pipe(kit), [event]).data
    assert edited == event.replace(b"1234", b"[NUMBER]").replace(b"\r\n", b"\n")


def test_an_event_with_empty_data_carries_nothing_and_passes(kit: Any) -> None:
    assert kit.run(pipe(kit), [b"data:\n\ndata: [DONE]\n\n"]).data == b"data:\n\ndata: [DONE]\n\n"


def test_text_that_is_not_read_is_cleared(kit: Any) -> None:
    choice = {**kit.delta(content="hi "), "logprobs": {"content": [{"token": "1234", "bytes": [49]}]}}
    released = kit.run(pipe(kit), [kit.sse([kit.chunk(choice)])])
    assert b'"logprobs":null' in released.data
    assert b"1234" not in released.data


def test_the_last_usage_is_told(kit: Any) -> None:
    p = pipe(kit)
    step = p.feed(kit.sse([kit.chunk(usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})]))
    assert step.usage is not None
    assert (step.usage.prompt_tokens, step.usage.completion_tokens) == (3, 4)


def test_every_string_of_an_error_body_is_masked(kit: Any) -> None:
    body = b'{"detail":[{"loc":["body",0],"msg":"bad 1234","input":{"to":"a@b"}}],"n": 1.50}'
    released = kit.run(pipe(kit, content_type="application/json", is_error=True), [body])
    assert released.data == body.replace(b"1234", b"[NUMBER]").replace(b"a@b", b"[ADDRESS]")
    assert released.found == {"NUMBER": 1, "ADDRESS": 1}


def test_what_comes_with_every_event_is_masked_in_every_event(kit: Any) -> None:
    events = [kit.chunk(kit.delta(content="x"), id=name) for name in ("a", "1234", "a", "1234", "1234 a@b")]
    released = kit.run(pipe(kit), [kit.sse(events)])
    ids = [json.loads(line[6:])["id"] for line in released.data.decode().split("\n\n") if '"id"' in line]
    assert ids == ["a", "[NUMBER]", "a", "[NUMBER]", "[NUMBER] [ADDRESS]"]


@pytest.mark.parametrize("is_error", [False, True])
def test_a_large_number_beside_the_choices_or_in_an_error_is_masked(kit: Any, is_error: bool) -> None:
    document = {"choices": [], "note": 12345678, "code": 429}
    reading = pipe(kit, content_type="application/json", is_error=is_error)
    released = kit.run(reading, [json.dumps(document).encode()])
    assert json.loads(released.data) == {"choices": [], "note": "[NUMBER]", "code": 429}
