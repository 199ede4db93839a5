"""What a reviewer may make of a model's answer: other words in the same places, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection.edited_answer import WholeAnswer, changed_texts
from authz_service.masking.finding import Finding
from authz_service.masking.seams import IncrementalScanner
from authz_service.model_apis.anthropic import Anthropic
from authz_service.model_apis.base import ModelApi, OwnAnswer, Said
from authz_service.model_apis.llamacpp import LlamaCpp
from authz_service.model_apis.ollama import Ollama
from authz_service.model_apis.open_inference import OpenInference
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.model_apis.openai_completions import OpenAiCompletions
from authz_service.model_apis.openai_responses import OpenAiResponses
from authz_service.model_apis.tgi import Tgi
from authz_service.view.request import RequestView

WIRE = Path(__file__).parent.parent / "model_apis" / "wire"
ENTITIES = frozenset({"EMAIL_ADDRESS"})
CONTENT = "choices/0/content"
APIS: list[tuple[ModelApi, str]] = [
    (OpenAiChat(), "chat_completions"),
    (OpenAiCompletions(), "completions"),
    (OpenAiResponses(), "responses"),
    (Anthropic(), "messages"),
    (Ollama(), "chat"),
    (Ollama(), "generate"),
    (LlamaCpp(), "completion"),
    (Tgi(), "generate"),
]


def view(api: str, operation: str, *, stream: bool = False) -> RequestView:
    return RequestView(api, operation, "llama", stream, ())


def answer(api: ModelApi, operation: str, own: OwnAnswer) -> WholeAnswer:
    return WholeAnswer(api, view(api.name, operation), own.content_type, own.body, 64)


def whole(document: Any) -> WholeAnswer:
    own = OwnAnswer("application/json", json.dumps(document).encode())
    return answer(OpenAiChat(), "chat_completions", own)


def chat(**message: Any) -> WholeAnswer:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return whole({"id": "x-1", "object": "chat.completion", "choices": [choice], "usage": usage})


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("which", APIS, ids=lambda which: f"{which[0].name}-{which[1]}")
def test_a_text_is_changed_wherever_an_api_says_it_and_nothing_else(
    which: tuple[ModelApi, str], is_streamed: bool
) -> None:
    api, operation = which
    asked = view(api.name, operation, stream=is_streamed)
    before, after = (api.own_answer(asked, Said(said, "1", 1)) for said in ("Ask E-1 now", "Ask\nnobody"))
    assert before is not None
    assert after is not None
    waits = answer(api, operation, before)
    ((name, said),) = waits.texts().items()
    assert said == "Ask E-1 now"
    edited = waits.edited({name: "Ask\nnobody"}, ENTITIES)
    assert b"E-1" not in edited
    again = WholeAnswer(api, asked, before.content_type, edited, 64)
    assert again.texts() == {name: "Ask\nnobody"}
    back = again.edited({name: "Ask E-1 now"}, ENTITIES)
    # How likely a token was is gone with it.
    assert back == before.body or b"logprob" in before.body


def stream_of(*pieces: str) -> WholeAnswer:
    events = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode() + b"\n\n"
        for piece in pieces
    ]
    body = b"".join(events) + b"data: [DONE]\n\n"
    return answer(OpenAiChat(), "chat_completions", OwnAnswer("text/event-stream", body))


@given(pieces=st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=5), new=st.text("abc\n"))
def test_a_streamed_text_reads_as_it_was_written_however_it_was_cut(pieces: list[str], new: str) -> None:
    waits = stream_of(*pieces)
    if new == "".join(pieces):
        new += "!"
    edited = waits.edited({CONTENT: new}, ENTITIES)
    said = [json.loads(line[6:]) for line in edited.decode().splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in said) == new
    assert len(said) == len(pieces)
    assert edited.endswith(b"data: [DONE]\n\n")


def test_texts_that_nobody_edits_keep_their_bytes() -> None:
    choices = [{"index": n, "message": {"content": f"text {n}"}, "finish_reason": "stop"} for n in (0, 1)]
    body = json.dumps({"id": "x", "choices": choices}, indent=1).encode()
    waits = answer(OpenAiChat(), "chat_completions", OwnAnswer("application/json", body))
    edited = waits.edited({"choices/1/content": "other"}, ENTITIES)
    assert edited == body.replace(b"text 1", b"other")


def test_names_ids_and_usage_are_not_among_the_texts() -> None:
    function = {"name": "mail", "arguments": '{"to": "x"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    waits = chat(content="hi", tool_calls=[call])
    assert list(waits.texts()) == [CONTENT, "choices/0/tool_calls/0/arguments"]
    for name in ("id", "choices/0/tool_calls/0/name", "choices/0/tool_calls/0/id", ""):
        refused(waits, {name: "other"}, "edit_unknown_text")


def refused(waits: WholeAnswer, texts: dict[str, str], code: str) -> None:
    with pytest.raises(Unreadable) as error:
        waits.edited(texts, ENTITIES)
    assert error.value.code == code


def test_what_must_not_be_edited_is_refused() -> None:
    waits = chat(content="Ask [EMAIL_ADDRESS]")
    for text in ("Ask", "Ask [EMAIL_ADDRESS] [EMAIL_ADDRESS]", "Ask <EMAIL_ADDRESS_1> [EMAIL_ADDRESS]"):
        refused(waits, {CONTENT: text}, "edit_masked")
    refused(waits, {CONTENT: "Ask [EMAIL_ADDRESS]"}, "nothing_edited")
    refused(waits, {}, "nothing_edited")
    calls = [{"id": "1", "function": {"name": "mail", "arguments": "{}"}}]
    refused(chat(tool_calls=calls), {"choices/0/tool_calls/0/arguments": "{"}, "edit_unreadable")


def test_words_that_are_said_in_a_place_that_stays_cannot_be_taken_out() -> None:
    document = {"note": "the words", "choices": [{"index": 0, "message": {"content": "the words"}}]}
    refused(whole(document), {CONTENT: "others"}, "edit_unsupported")


def test_log_probabilities_of_an_edited_text_are_taken_out() -> None:
    tokens = [
        {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": []}
        for token in ("E-1", " now")
    ]
    message = {"role": "assistant", "content": "E-1 now"}
    waits = whole({"choices": [{"index": 0, "message": message, "logprobs": {"content": tokens}}]})
    edited = waits.edited({CONTENT: "nobody"}, ENTITIES)
    assert b"E-1" not in edited
    assert str(list(b"E-1")).encode() not in edited
    assert b" now" not in edited


def test_the_record_says_what_was_and_is() -> None:
    said = json.loads(changed_texts({"a": "1", "b": "2"}, {"a": "1", "b": "3"}))
    assert said == [{"path": ["b"], "before": "2", "after": "3"}]


def test_texts_of_tensors_and_citations_are_edited_as_well() -> None:
    body = (WIRE / "mlserver_infer.json").read_bytes()
    waits = answer(OpenInference(), "infer", OwnAnswer("application/json", body))
    said, heard, there = waits.texts().values()
    assert (said[:8], heard, there) == ("Write to", "Hello", "there")
    edited = waits.edited({name: "Bye" for name, text in waits.texts().items() if text == "there"}, ENTITIES)
    assert edited == body.replace(b'"there"', b'"Bye"')
    citation = {"type": "url_citation", "url_citation": {"url": "https://e-1.example", "title": "E-1"}}
    cites = chat(content="See there.", annotations=[citation])
    names = {text: name for name, text in cites.texts().items()}
    assert b"E-1" not in cites.edited({names["E-1"]: "x", names["https://e-1.example"]: "y"}, ENTITIES)


class Finds:
    """Finds E-1."""

    entities = ENTITIES

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        return tuple(Finding("EMPLOYEE_ID", m.start(), m.end()) for m in re.finditer("E-1", text))

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        raise NotImplementedError("a whole text is read here, not pieces")


@pytest.mark.parametrize("pieces", [["Ask E-1 now"], ["Ask E", "-1 no", "w"], ["A", "sk E-", "1", " now"]])
def test_what_was_found_is_named_by_its_text_however_that_was_cut(pieces: list[str]) -> None:
    (found,) = stream_of(*pieces).told(Finds())[1]
    assert (found.name, found.text) == ("choices/0/content", "Ask E-1 now")
    assert [(f.start, f.end, f.entity) for f in found.findings] == [(4, 7, "EMPLOYEE_ID")]


def test_what_stands_where_nothing_can_be_edited_is_found_too() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "E-1", "arguments": "{}"}}
    names = {found.name: found.text for found in chat(content="Ask", tool_calls=[call]).told(Finds())[1]}
    assert list(names.values()) == ["E-1"]
    assert chat(content="Ask").told(Finds())[1] == []
