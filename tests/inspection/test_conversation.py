"""A request laid out: all of it, decoded, each finding where it stands, and what is new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.conversation import Conversation, Row
from authz_service.inspection.shown import shown
from authz_service.masking.detectors import build_scanner
from authz_service.view.request import Role
from authz_service.view.turns import PartKind

SCANNER = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})
CHAT = ("openai_chat", "chat_completions")


def laid(api: tuple[str, str], body: Any) -> Conversation:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = shown(*api, raw, SCANNER, lambda: True).conversation
    assert said is not None
    return said


def rows(said: Conversation) -> Iterator[Row]:
    for turn in said.turns:
        for part in turn.parts:
            yield from part.rows
    for part in said.rest:
        yield from part.rows


def found(said: Conversation) -> list[str]:
    return [
        f"key {row.key}" if mark.is_key else (row.text or "")[mark.start : mark.end] or row.literal
        for row in rows(said)
        for mark in row.marks
        if mark.entity == "EMPLOYEE_ID"
    ]


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        (
            CHAT,
            {
                "model": "m",
                "messages": [
                    {"role": "system", "content": "E-000001 asks"},
                    {"role": "user", "content": "hi", "name": "E-000002"},
                    {
                        "role": "assistant",
                        "tool_calls": [
                            {"id": "c", "function": {"name": "f", "arguments": '{"who": "E-000003"}'}}
                        ],
                    },
                ],
                "tools": [{"type": "function", "function": {"name": "f", "description": "of E-000004"}}],
                "metadata": {"E-000005": "x"},
            },
            ["E-000001", "E-000002", "E-000003", "E-000004", "key E-000005"],
        ),
        (
            ("openai_responses", "responses"),
            {
                "model": "m",
                "instructions": "E-000001",
                "input": [{"type": "function_call_output", "call_id": "c", "output": "E-000002"}],
            },
            ["E-000001", "E-000002"],
        ),
        (("openai_completions", "completions"), {"model": "m", "prompt": ["a", "E-000001"]}, ["E-000001"]),
        (("tgi", "generate"), {"inputs": "E-000001"}, ["E-000001"]),
        (("llamacpp", "completion"), {"prompt": "E-000001"}, ["E-000001"]),
        (
            ("anthropic", "messages"),
            {
                "model": "m",
                "max_tokens": 9,
                "system": "E-000001",
                "messages": [{"role": "user", "content": [{"type": "text", "text": "E-000002"}]}],
            },
            ["E-000001", "E-000002"],
        ),
    ],
)
def test_what_was_found_stands_with_its_text_whatever_that_is(
    api: tuple[str, str], body: Any, expected: list[str]
) -> None:
    assert found(laid(api, body)) == expected


@pytest.mark.parametrize(
    ("api", "body", "new"),
    [
        (
            CHAT,
            {"model": "m", "messages": [{"role": r, "content": r} for r in ("user", "assistant", "user")]},
            [2],
        ),
        (("openai_responses", "responses"), {"model": "m", "instructions": "s", "input": "i"}, [1]),
        (
            ("openai_responses", "responses"),
            {
                "model": "m",
                "input": [
                    {"role": "user", "content": "a"},
                    {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
                    {"type": "function_call_output", "call_id": "c", "output": "done"},
                ],
                "instructions": "s",
            },
            [2],
        ),
        (("ollama", "generate"), {"model": "m", "system": "s", "prompt": "p"}, [1]),
        (("openai_completions", "completions"), {"model": "m", "prompt": ["a", "b"]}, [0, 1]),
    ],
)
def test_the_new_turn_is_what_rules_read_as_new(api: tuple[str, str], body: Any, new: list[int]) -> None:
    assert [i for i, turn in enumerate(laid(api, body).turns) if turn.is_new] == new


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def scalars(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [text for key, item in value.items() for text in (f"key {key}", *scalars(item))]
    if isinstance(value, list) and value:
        return [text for item in value for text in scalars(item)]
    return [value if isinstance(value, str) else json.dumps(value)]


@given(st.lists(TEXT, min_size=1, max_size=3), JSON)
def test_every_value_and_every_name_is_in_a_row(texts: list[str], metadata: Any) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    said = laid(CHAT, {"model": "m", "messages": messages, "metadata": metadata})
    told = [row.literal if row.text is None else row.text for row in rows(said)]
    assert [row.text for turn in said.turns for part in turn.parts for row in part.rows] == texts
    (part,) = [part for part in said.rest if part.part.name == "metadata"]
    inner = [
        text for row in part.rows for text in ([] if row.key is None else [f"key {row.key}"]) + said_by(row)
    ]
    assert inner == scalars(metadata)
    assert "m" in told


def said_by(row: Row) -> list[str]:
    if row.text is not None:
        return [row.text]
    return [row.literal] if row.literal else []


def test_rows_below_a_row_are_what_it_has() -> None:
    said = laid(
        CHAT, {"model": "m", "messages": [{"role": "user", "content": "a"}], "x": {"a": [1, "b"], "c": {}}}
    )
    (part,) = [part for part in said.rest if part.part.name == "x"]
    assert [(row.depth, row.key, row.text, row.literal) for row in part.rows] == [
        (0, None, None, ""),
        (1, "a", None, ""),
        (2, None, None, "1"),
        (2, None, "b", ""),
        (1, "c", None, "{}"),
    ]


@pytest.mark.parametrize("number", ["1.0000000000000000001", "12345678901234567890123", "0.5", "-0.0"])
def test_numbers_stand_as_they_were_written(number: str) -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":"a"}],"metadata":{"n":%s}}' % number.encode()
    assert number in [row.literal for row in rows(laid(CHAT, raw))]


NUMBERS = [b"1E2", b"1.50", b"-0", b"-0.0", b"0.10", b"98765432109876543210", b"3.14159265358979323846", b"7"]


@pytest.mark.parametrize("written", NUMBERS)
def test_a_number_stands_as_it_is_written_wherever_that_is(written: bytes) -> None:
    """Another spelling is another text to a model that reads it in a prompt's template."""
    body = (
        b'{"model": "m", "messages": [{"role": "user", "content": "a", "weight": %b}], "x": [%b],'
        b' "tools": [{"type": "function", "function": {"name": "f", "parameters": {"minimum": %b}}}]}'
    )
    said = laid(CHAT, body % ((written,) * 3))
    assert [row.literal for row in rows(said) if row.literal] == [written.decode()] * 3


INFER = ("open_inference", "infer")


def tensor(name: str, datatype: str, data: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1], "datatype": datatype, "data": data}


def test_a_tensor_of_text_is_what_somebody_says_and_of_any_other_one_reads_what_it_is() -> None:
    body = {
        "inputs": [
            tensor("prompt", "BYTES", ["Wipe E-000001"]),
            tensor("batch", "BYTES", ["a", "b"]),
            tensor("heat", "FP32", [0.5]),
        ],
        "outputs": [{"name": "text"}],
    }
    said = laid(INFER, body)
    assert [(turn.turn.path, turn.turn.speaker) for turn in said.turns] == [
        (("inputs", i), Role.USER) for i in range(3)
    ]
    prompt, batch, heat = ({laid.part.path[-1]: laid for laid in turn.parts} for turn in said.turns)
    assert [(part.part.kind, [row.text or row.literal for row in part.rows]) for part in prompt.values()] == [
        (PartKind.FIELD, ["prompt"]),
        (PartKind.FIELD, ["", "1"]),
        (PartKind.FIELD, ["BYTES"]),
        (PartKind.TEXT, ["Wipe E-000001"]),
    ]
    assert (prompt[0].part.path, prompt[0].part.name) == (("inputs", 0, "data", 0), "prompt")
    assert [row.text for row in batch["data"].rows] == [None, "a", "b"]
    assert batch["data"].part.kind is PartKind.TEXT
    assert [(part.part.kind, part.rows[-1].literal) for part in heat.values()][-1] == (PartKind.FIELD, "0.5")
    assert found(said) == ["E-000001"]
    assert sorted(text for row in rows(said) for text in [row.text] if text) == sorted(
        text for text in scalars(body) if text[:4] != "key " and text not in ("1", "0.5")
    )
