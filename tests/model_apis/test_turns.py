"""Each dialect says who speaks in a request and of what it is made; nothing is in two parts, or in none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.model_apis.registry import ADAPTERS, operation_named
from authz_service.model_apis.turns import TurnPlaces, parts_beside
from authz_service.view.request import Path, Role
from authz_service.view.turns import PartKind, Turn

ROLES = {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
S, U, A, T = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL


def turns(api: str, operation: str, body: Any) -> tuple[Turn, ...]:
    found = operation_named(api, operation)
    assert found is not None
    return tuple(found[0].turn_places(found[1]).turns(body))


def pointer(path: Path) -> str:
    return "/".join(map(str, path))


def told(api: str, operation: str, body: Any) -> list[tuple[str, Role, list[str]]]:
    return [
        (pointer(turn.path), turn.speaker, [f"{part.kind} {pointer(part.path)}" for part in turn.parts])
        for turn in turns(api, operation, body)
    ]


@pytest.mark.parametrize(
    ("api", "operation", "body", "expected"),
    [
        (
            "openai_chat",
            "chat_completions",
            {
                "model": "m",
                "messages": [
                    {"role": "developer", "content": "be brief"},
                    {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]},
                ],
            },
            [
                ("messages/0", S, ["text messages/0/content"]),
                ("messages/1", U, ["text messages/1/content/0/text", "media messages/1/content/1"]),
            ],
        ),
        (
            "anthropic",
            "messages",
            {
                "system": [{"type": "text", "text": "be brief", "cache_control": {}}],
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "content": "done"}]},
                ],
            },
            [
                ("system", S, ["text system/0/text", "field system/0/cache_control"]),
                ("messages/0", A, ["tool_call messages/0/content/0"]),
                ("messages/1", U, ["tool_result messages/1/content/0"]),
            ],
        ),
        (
            "openai_responses",
            "responses",
            {
                "instructions": "be brief",
                "input": [
                    {"role": "user", "content": "hi"},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "function_call", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c", "output": "done"},
                    {"type": "item_reference", "id": "i"},
                ],
            },
            [
                ("instructions", S, ["text instructions"]),
                ("input/0", U, ["text input/0/content"]),
                ("input/1", A, ["reasoning input/1/summary/0/text"]),
                ("input/2", A, ["tool_call input/2"]),
                ("input/3", T, ["tool_result input/3"]),
                ("input/4", Role.OTHER, ["field input/4"]),
            ],
        ),
        ("openai_responses", "responses", {"input": "hi"}, [("input", U, ["text input"])]),
        (
            "openai_completions",
            "completions",
            {"prompt": ["a", "b"], "suffix": "c"},
            [
                ("prompt/0", U, ["text prompt/0"]),
                ("prompt/1", U, ["text prompt/1"]),
                ("suffix", U, ["text suffix"]),
            ],
        ),
        ("openai_completions", "completions", {"prompt": [1, 2]}, [("prompt", U, ["field prompt"])]),
        ("openai_embeddings", "embeddings", {"input": "a"}, [("input", U, ["text input"])]),
        (
            "ollama",
            "generate",
            {"system": "s", "prompt": "p"},
            [("system", S, ["text system"]), ("prompt", U, ["text prompt"])],
        ),
        (
            "ollama",
            "chat",
            {"messages": [{"role": "tool", "tool_name": "f", "content": "done"}]},
            [("messages/0", T, ["field messages/0/tool_name", "tool_result messages/0/content"])],
        ),
        ("ollama", "embed", {"input": ["a"]}, [("input/0", U, ["text input/0"])]),
        ("ollama", "embeddings", {"prompt": "a"}, [("prompt", U, ["text prompt"])]),
        ("llamacpp", "completion", {"prompt": "a"}, [("prompt", U, ["text prompt"])]),
        ("llamacpp", "infill", {"input_prefix": "a"}, [("input_prefix", U, ["text input_prefix"])]),
        ("tgi", "generate", {"inputs": "a"}, [("inputs", U, ["text inputs"])]),
        ("open_inference", "generate", {"text_input": "a"}, [("text_input", U, ["text text_input"])]),
        (
            "open_inference",
            "infer",
            {"inputs": [{"datatype": "BYTES", "data": ["a"]}, {"datatype": "BYTES", "data": [["a", "b"]]}]},
            [
                ("inputs/0", U, ["field inputs/0/datatype", "text inputs/0/data/0"]),
                ("inputs/1", U, ["field inputs/1/datatype", "text inputs/1/data/0"]),
            ],
        ),
        (
            "open_inference",
            "infer",
            {"inputs": [{"name": "heat", "datatype": "FP32", "data": [0.5]}, {"name": "of no type"}]},
            [
                ("inputs/0", U, [f"field inputs/0/{key}" for key in ("name", "datatype", "data")]),
                ("inputs/1", U, ["field inputs/1/name"]),
            ],
        ),
        ("open_inference", "generate", {"inputs": "a"}, [("inputs", U, ["text inputs"])]),
        ("openai_audio", "transcriptions", {"model": "w", "prompt": "a"}, [("prompt", U, ["text prompt"])]),
    ],
)
def test_who_says_what_and_where(api: str, operation: str, body: Any, expected: Any) -> None:
    assert told(api, operation, body) == expected


def test_every_operation_says_where_its_turns_are() -> None:
    for adapter in ADAPTERS:
        for operation in adapter.operations:
            places = adapter.turn_places(operation)
            assert places.messages or places.items or places.texts, adapter.name


def test_calls_results_and_tools_are_named() -> None:
    call = {"id": "c1", "function": {"name": "wipe", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "done"}
    messages = [{"role": "assistant", "tool_calls": [call], "reasoning_content": "hm"}, result]
    body = {"messages": messages, "tools": [{"type": "function", "function": {"name": "wipe"}}], "n": 1}
    one, other = turns("openai_chat", "chat_completions", body)
    assert [(part.kind, part.name) for part in one.parts] == [
        (PartKind.TOOL_CALL, "wipe"),
        (PartKind.REASONING, ""),
    ]
    assert (PartKind.TOOL_RESULT, "c1") in [(part.kind, part.name) for part in other.parts]
    assert [(part.kind, part.name) for part in parts_beside(body, frozenset({"messages"}))] == [
        (PartKind.TOOL, "wipe"),
        (PartKind.FIELD, "n"),
    ]


TEXT = st.sampled_from(["", "a", "text", "tool_use", "function_call", "reasoning", "message", "user"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT | st.sampled_from(["type", "content", "text", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["role", "type", "content", "text", "tool_calls", "function_call", "summary", "thinking", "name", "x"]
)
MESSAGE = st.dictionaries(KEYS, JSON, max_size=4) | JSON
MEMBERS = st.sampled_from(["messages", "input", "system", "prompt", "tools", "functions", "seed"])
BODY = st.dictionaries(MEMBERS, st.lists(MESSAGE, max_size=3) | JSON, max_size=4) | JSON
PLACES = TurnPlaces(
    messages={"messages": ROLES},
    items={"input": ROLES},
    texts=dict.fromkeys(("input", "system", "prompt"), U),
)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict | list) and value:
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, step))
    else:
        yield path


@given(BODY)
def test_every_value_is_in_one_part_or_is_what_a_part_or_a_turn_is_called(body: Any) -> None:
    found = list(PLACES.turns(body))
    parts = [part.path for turn in found for part in turn.parts]
    parts += [part.path for part in parts_beside(body, frozenset(str(turn.path[0]) for turn in found))]
    for leaf in leaves(body):
        holders = [path for path in parts if leaf[: len(path)] == path]
        if not holders and isinstance(body, dict) and leaf:
            assert leaf[-1] in ("role", "type") or leaf in [turn.path for turn in found]
        assert len(holders) <= 1
