"""Which texts of a request an editor gets: what is said in the turns of its API, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.test_laid_out import told

from authz_cli.edit_form import Conversation
from authz_cli.edit_places import texts_of_turns
from authz_cli.outline import parse

CALL = {"id": "c", "type": "function", "function": {"name": "wipe", "arguments": '{"of": "it"}'}}


def places(api: tuple[str, str], body: Any) -> dict[str, str]:
    raw = json.dumps(body).encode()
    texts = texts_of_turns(told(raw, api).conversation, parse(raw))
    return {"/".join(map(str, place)): text for place, text in texts}


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        (
            ("openai_chat", "chat_completions"),
            {
                "model": "m",
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Wipe it."}]},
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c", "content": "done"},
                ],
                "metadata": {"content": "none of the model's", "text": "nor this"},
            },
            {
                "messages/0/content/0/text": "Wipe it.",
                "messages/1/tool_calls/0/function/arguments": '{"of": "it"}',
                "messages/2/content": "done",
            },
        ),
        (
            ("anthropic", "messages"),
            {
                "model": "m",
                "max_tokens": 9,
                "system": "Be brief.",
                "messages": [
                    {
                        "role": "assistant",
                        "content": [
                            {
                                "type": "tool_use",
                                "id": "t",
                                "name": "f",
                                "input": {"path": "/a", "n": [1, "b"]},
                            }
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [{"type": "text", "text": "gone"}],
                            }
                        ],
                    },
                ],
            },
            {
                "system": "Be brief.",
                "messages/0/content/0/input/path": "/a",
                "messages/0/content/0/input/n/1": "b",
                "messages/1/content/0/content/0/text": "gone",
            },
        ),
        (
            ("openai_responses", "responses"),
            {
                "model": "m",
                "instructions": "Be brief.",
                "input": [{"type": "function_call_output", "call_id": "c", "output": "done"}],
                "text": {"format": {"type": "text"}},
            },
            {"instructions": "Be brief.", "input/0/output": "done"},
        ),
        (
            ("ollama", "generate"),
            {"model": "m", "system": "s", "prompt": "p", "template": "{{ .Prompt }}"},
            {"system": "s", "prompt": "p"},
        ),
        (
            ("open_inference", "infer"),
            {"inputs": [{"name": "p", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}]},
            {"inputs/0/data/0": "a", "inputs/0/data/1": "b"},
        ),
    ],
)
def test_they_are_those_of_the_turns_of_its_api(
    api: tuple[str, str], body: Any, expected: dict[str, str]
) -> None:
    assert places(api, body) == expected


def test_they_are_edited_where_they_stand() -> None:
    raw = b'{"model": "m", "prompt": ["Wipe it.", "b"], "temperature": 1E0}'
    document = parse(raw)
    texts = texts_of_turns(told(raw, ("openai_completions", "completions")).conversation, document)
    form = Conversation(document, texts=texts)
    assert form.read(form.text().replace("Wipe it.", "Keep it.")) == parse(raw.replace(b"Wipe", b"Keep"))


def test_a_place_that_the_bytes_do_not_have_is_left_out() -> None:
    raw = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}] * 2}).encode()
    assert texts_of_turns(told(raw).conversation, parse(raw.replace(b"messages", b"others"))) == []
