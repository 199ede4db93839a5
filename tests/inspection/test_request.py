"""A request is read whole; what goes on differs from it in masked spans and the model's name only."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.anthropic import MESSAGES, Anthropic
from authz_service.model_apis.base import Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.view.request import Path, RequestView

MASKED = frozenset({"NUMBER", "BLOCK", "ADDRESS"})
MODELS = {"llama": "llama", "gpt-4o": "llama"}
SCRAPS = ["1234", "56", "a@b", "@", "s3cr3t", " ", "<<", ">>", ">", "word ", "é😀", '"\\\n', "x"]
texts = st.lists(st.sampled_from(SCRAPS), max_size=8).map("".join)


def inspect(kit: Any, body: Any, **others: Any) -> RequestInspection:
    return inspect_request(
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        **{
            "api": OpenAiChat(),
            "operation": CHAT_COMPLETIONS,
            "scanner": kit.scanner(),
            "masked_entities": MASKED,
            "models": MODELS,
            "noise": (),
            "max_depth": 16,
            **others,
        },
    )


def asking(*content: Any, **others: Any) -> dict[str, Any]:
    return {"model": "llama", "messages": [{"role": "user", "content": c} for c in content], **others}


@given(st.lists(texts, min_size=1, max_size=3), st.booleans())
def test_each_text_goes_on_as_its_masking(kit: Any, contents: list[str], is_ascii: bool) -> None:
    body = json.dumps(asking(*contents), ensure_ascii=is_ascii).encode()
    inspection = inspect(kit, body)
    for entities, data in ((MASKED, inspection.forward), (kit.scanner().entities, inspection.redacted)):
        expected = asking(*(kit.masked_text(t, kit.scanner().scan(t), entities) for t in contents))
        assert json.loads(data) == expected
        if json.loads(body) == expected:
            assert data is body
    found = [f.entity for t in contents for f in kit.scanner().scan(t)]
    assert inspection.findings == {e: found.count(e) for e in set(found)}


def test_bytes_around_a_masked_span_stay(kit: Any) -> None:
    body = (
        b'{ "model":"llama", "temperature":1.50,"messages": [ {"role":"user","content":"1234 \\u00e9"}] }\n'
    )
    assert inspect(kit, body).forward == body.replace(b"1234", b"[NUMBER]")


def test_an_alias_goes_on_as_the_models_name_and_rules_see_that_name(kit: Any) -> None:
    body = b'{"messages":[{"role":"user","content":"hi gpt-4o"}],"model" : "gpt-4o"}'
    inspection = inspect(kit, body)
    assert inspection.forward == body.replace(b': "gpt-4o"', b': "llama"')
    assert inspection.view.model == "llama"
    assert inspection.redacted is body


def test_a_model_that_nobody_configured_is_not_found(kit: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        inspect(kit, {**asking("hi"), "model": "sk-secret"})
    assert (refused.value.code, refused.value.status) == ("model_not_found", 404)
    assert "sk-secret" not in str(refused.value)


class Unnamed(OpenAiChat):
    """A dialect whose bodies name no model: it is in the path, or nowhere."""

    def read_request(self, operation: Operation, document: object) -> RequestView:
        return replace(super().read_request(operation, document), model=operation.model)

    def model_path(self, operation: Operation) -> Path | None:
        return None


def test_a_request_that_names_no_model_is_for_the_only_one(kit: Any) -> None:
    inspection = inspect(kit, body := json.dumps(asking("hi")).encode(), api=Unnamed())
    assert (inspection.view.model, inspection.forward) == ("llama", body)
    for models in ({"llama": "llama", "other": "other"}, {}):
        with pytest.raises(Unreadable) as refused:
            inspect(kit, asking("hi"), api=Unnamed(), models=models)
        assert refused.value.code == "model_not_named"


def test_a_path_names_the_model_by_its_own_name(kit: Any) -> None:
    for name, code in (("llama", None), ("gpt-4o", "model_not_found"), ("other", "model_not_found")):
        operation = replace(CHAT_COMPLETIONS, path=f"/models/{name}", model=name)
        body = json.dumps(asking("hi")).encode()
        if code is None:
            assert inspect(kit, body, api=Unnamed(), operation=operation).forward == body
            continue
        with pytest.raises(Unreadable) as refused:
            inspect(kit, body, api=Unnamed(), operation=operation)
        assert (refused.value.code, refused.value.status) == (code, 404)


def test_an_entity_that_no_mask_names_goes_on_and_is_kept_out_of_the_redacted_body(kit: Any) -> None:
    inspection = inspect(kit, asking("my s3cr3t 1234"))
    assert b"my s3cr3t [NUMBER]" in inspection.forward
    assert b"my [SECRET] [NUMBER]" in inspection.redacted
    assert inspection.findings == {"SECRET": 1, "NUMBER": 1}
    assert inspection.masked == {"NUMBER": 1}


def test_a_key_that_must_be_masked_stops_the_request(kit: Any) -> None:
    body = asking("hi", metadata={"a@b": "x"})
    with pytest.raises(Unreadable) as refused:
        inspect(kit, body)
    assert refused.value.code == "unmaskable"
    assert "a@b" not in str(refused.value)
    inspection = inspect(kit, body, masked_entities=frozenset())
    assert inspection.findings == {"ADDRESS": 1}
    assert json.loads(inspection.redacted)["metadata"] == {"[ADDRESS]": "x"}
    assert json.loads(inspection.forward) == body


def test_a_number_that_must_be_masked_becomes_a_string(kit: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"default": 4111111111111111}}}
    inspection = inspect(kit, asking("hi", tools=[tool]))
    parameters = json.loads(inspection.forward)["tools"][0]["function"]["parameters"]
    assert parameters == {"default": "[NUMBER]"}


@pytest.mark.parametrize(
    ("parts", "masked"),
    [
        (["my 12", "34 is"], ["my [NUMBER]", " is"]),
        (["1", "2", "3", "4"], ["[NUMBER]", "", "", ""]),
        (["a@b <<", "key", ">> c"], ["[ADDRESS] [BLOCK]", "", " c"]),
        (["1234", "x"], ["[NUMBER]", "x"]),
        (["12 ", "34"], ["12 ", "34"]),
        (["1234", "5678"], ["[NUMBER]", ""]),
    ],
)
def test_a_value_split_over_the_parts_of_a_message_is_masked(
    kit: Any, parts: list[str], masked: list[str]
) -> None:
    inspection = inspect(kit, asking([{"type": "text", "text": t} for t in parts]))
    assert [p["text"] for p in json.loads(inspection.forward)["messages"][0]["content"]] == masked


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "my 12"}, "34 is"],
        [{"type": "text", "text": "my 12"}, {"type": "refusal", "refusal": "34 is"}],
        [{"type": "thinking", "thinking": "my 12"}, {"type": "text", "text": "34 is"}],
    ],
)
def test_a_value_split_over_parts_of_two_types_is_masked(kit: Any, parts: list[Any]) -> None:
    inspection = inspect(kit, asking(parts))
    assert inspection.findings == {"NUMBER": 1}
    assert b"12" not in inspection.forward
    assert b"34" not in inspection.forward


@pytest.mark.parametrize("other", ["thinking", "refusal"])
def test_a_value_split_over_parts_of_one_type_is_masked_past_those_of_another(kit: Any, other: str) -> None:
    parts = [
        {"type": "text", "text": "my 12"},
        {"type": other, other: " so "},
        {"type": "text", "text": "34"},
    ]
    chat = inspect(kit, asking(parts))
    masked = [chat]
    if other == "thinking":
        masked.append(inspect(kit, asking(parts), api=Anthropic(), operation=MESSAGES))
    for inspection in masked:
        assert inspection.findings == inspection.masked == {"NUMBER": 1}
        content = json.loads(inspection.forward)["messages"][0]["content"]
        assert [part[part["type"]] for part in content] == ["my [NUMBER]", " so ", ""]


def test_parts_that_are_left_unread_do_not_stand_between_others(kit: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}, "refusal": ""}
    inspection = inspect(kit, asking([{"type": "text", "text": "12"}, image, "34"]))
    assert inspection.findings == inspection.masked == {"NUMBER": 1}


def test_a_value_that_several_readings_of_the_parts_have_is_counted_once(kit: Any) -> None:
    parts = [
        {"type": "text", "text": "12"},
        {"type": "text", "text": "34"},
        {"type": "thinking", "thinking": "56"},
        {"type": "text", "text": "7"},
    ]
    inspection = inspect(kit, asking(parts))
    assert inspection.findings == inspection.masked == {"NUMBER": 1}
    content = json.loads(inspection.forward)["messages"][0]["content"]
    assert [part[part["type"]] for part in content] == ["[NUMBER]", "", "", ""]


@pytest.mark.parametrize("other", ["refusal", "thinking"])
def test_a_part_with_the_text_of_another_type_is_refused(kit: Any, other: str) -> None:
    with pytest.raises(Unreadable, match="has its text elsewhere"):
        inspect(kit, asking([{"type": "text", "text": "my 12", other: "x"}, "34 is"]))
    block = {"type": "text", "text": "my 12", "thinking": "x"}
    with pytest.raises(Unreadable, match="has its text elsewhere"):
        inspect(kit, asking([block]), api=Anthropic(), operation=MESSAGES)


def test_a_value_split_over_the_parts_of_a_prediction_is_masked(kit: Any) -> None:
    parts = [{"type": "text", "text": text} for text in ("my 12", "34 is")]
    inspection = inspect(kit, asking("x", prediction={"type": "content", "content": parts}))
    masked = json.loads(inspection.forward)["prediction"]["content"]
    assert [part["text"] for part in masked] == ["my [NUMBER]", " is"]


def test_messages_are_not_the_parts_of_one_text(kit: Any) -> None:
    body = asking("12", "34")
    assert json.loads(inspect(kit, body).forward) == body


def test_a_value_in_one_part_is_counted_once(kit: Any) -> None:
    parts = [{"type": "text", "text": t} for t in ("<< a", "b 1234", "12", "34 5678")]
    assert inspect(kit, asking(parts)).findings == {"BLOCK": 1, "NUMBER": 2}


def test_noise_does_not_make_another_request_and_text_always_does(kit: Any) -> None:
    noise = [("metadata", "nonce"), ("messages",), ("model",)]

    def form(nonce: str, text: str) -> bytes:
        return inspect(kit, asking(text, metadata={"nonce": nonce}), noise=noise).fingerprint

    assert form("x", "hi") == form("y", "hi")
    assert form("x", "hi") != form("x", "ho")


def test_the_fingerprint_does_not_depend_on_how_the_body_was_written(kit: Any) -> None:
    one = inspect(kit, json.dumps(asking("hé"), indent=2).encode())
    other = inspect(kit, json.dumps(asking("hé"), sort_keys=True, ensure_ascii=False).encode())
    assert one.fingerprint == other.fingerprint


def test_what_is_changed_for_the_model_is_told_without_the_noise(kit: Any) -> None:
    def changes(nonce: str, text: str, masked: frozenset[str] = MASKED) -> bytes:
        body = asking(text, metadata={"nonce": nonce})
        return inspect(kit, body, noise=[("metadata", "nonce")], masked_entities=masked).changes

    assert changes("x", "hi") == changes("y", "hi") == b""
    assert changes("x 1234", "hi") == b""
    assert changes("x 1234", "hi 1234") == changes("y", "hi 1234") != b""
    assert changes("x", "hi 1234") != changes("x", "ho 1234")
    assert changes("x", "hi 1234", frozenset()) == b""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b'{"model":"a","model":"b"}', "duplicate_key"),
        (b'{"model":"llama","messages":[{"role":"user","content":"\\ud800"}]}', "lone_surrogate"),
        (b"[" * 40 + b"]" * 40, "too_deep"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_name(kit: Any, body: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        inspect(kit, body)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_what_an_allowed_request_needs_none_of_is_made_when_it_is_asked_for(kit: Any) -> None:
    asked: list[str] = []

    def head(model: str) -> bytes:
        asked.append(model)
        return b"POST "

    body = asking("my s3cr3t 1234", model="gpt-4o", metadata={"nonce": "x"})
    inspection = inspect(kit, body, head=head, noise=[("metadata", "nonce")])
    assert asked == []
    full = inspection.in_full()
    assert asked == ["llama"]
    alone = inspect(kit, body, noise=[("metadata", "nonce")])
    assert full.fingerprint == inspection.fingerprint == b"POST " + alone.fingerprint
    assert b"nonce" not in full.fingerprint
    assert (full.redacted, full.changes) == (inspection.redacted, inspection.changes)
    assert b"[NUMBER]" in full.changes
    assert b"s3cr3t" not in full.redacted
    assert asked == ["llama", "llama"]


def test_a_value_split_over_the_blocks_of_a_system_prompt_is_masked(kit: Any) -> None:
    blocks = [{"type": "text", "text": text} for text in ("my 12", "34 is")]
    body = {**asking("hi"), "max_tokens": 9, "system": blocks}
    inspection = inspect(kit, body, api=Anthropic(), operation=MESSAGES)
    assert [b["text"] for b in json.loads(inspection.forward)["system"]] == ["my [NUMBER]", " is"]
    assert inspection.findings == {"NUMBER": 1}


def test_a_text_that_comes_again_is_masked_and_counted_again(kit: Any) -> None:
    long = "1234 " * 40
    contents = ["1234", long, "1234", "clean", long, "clean"]
    inspection = inspect(kit, asking(*contents))
    scan = kit.scanner().scan
    expected = [kit.masked_text(text, scan(text), MASKED) for text in contents]
    assert [m["content"] for m in json.loads(inspection.forward)["messages"]] == expected
    assert inspection.findings == inspection.masked == {"NUMBER": 82}


def test_a_word_is_another_text_where_it_is_a_document(kit: Any) -> None:
    kinds: list[bool] = []

    class Telling(type(kit.scanner())):  # type: ignore[misc]  # a class that a fixture hands over
        def scan(self, text: str, *, embedded_json: bool = False) -> Any:
            kinds.append(embedded_json)
            return super().scan(text)

    call = {"id": "1234", "type": "function", "function": {"name": "1234", "arguments": "1234"}}
    body = {"model": "llama", "messages": [{"role": "assistant", "tool_calls": [call]}]}
    inspect(kit, body, scanner=Telling())
    assert kinds == [False, True]
