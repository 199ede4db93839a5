"""A body is shown whole and decoded, and nothing in it can pass for our own words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conversations import JSON, MESSAGE, values

from authz_cli.conversation import FIELD_BAR, TEXT_BAR, conversation
from authz_cli.outline import parse
from authz_cli.safe_text import safe_line

BODY = (
    st.fixed_dictionaries(
        {"messages": st.lists(MESSAGE, max_size=3) | JSON}, optional={"tools": JSON, "x": JSON}
    )
    | st.fixed_dictionaries({"input": st.lists(MESSAGE, max_size=3) | JSON}, optional={"x": JSON})
    | JSON
)


def show(body: Any, width: int | None = None) -> list[str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(conversation(raw, width=width))


@given(BODY)
def test_every_string_of_a_body_is_shown_whole(body: Any) -> None:
    page = "\n".join(show(body)).replace('\\"', '"').replace("\\\\", "\\")
    known = {"messages", "input", "input_text", "content", "role", "type", "text"}
    for text in values(body):
        for line in text.split("\n"):
            # A combining mark that begins a text stands on whatever the page has before it.
            assert text in known or safe_line(line) in page or safe_line(f"x{line}")[1:] in page


@given(BODY, st.none() | st.integers(24, 60))
def test_every_line_of_the_callers_begins_with_a_bar(body: Any, width: int | None) -> None:
    ours = ("Everything else in the body", "Body (JSON)", "Body (not JSON;", "No body")
    for line in show(body, width):
        is_head = line.startswith("[") and line.split("]")[0][1:].isdigit()
        assert line.startswith((TEXT_BAR, FIELD_BAR, *ours)) or is_head


@given(st.binary(max_size=60))
def test_bytes_that_are_no_json_are_shown_too(body: bytes) -> None:
    if parse(body) is None and body:
        shown = "\n".join(show(body))
        for line in body.decode("utf-8", "backslashreplace").split("\n"):
            assert safe_line(line) in shown


def test_a_conversation_reads_as_one() -> None:
    body = {
        "model": "llama",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": [{"type": "text", "text": "First line\nSecond"}]},
        ],
        "temperature": 0.10,
    }
    assert show(body) == [
        "[1] system",
        "  │ Be brief.",
        "[2] user",
        "  │ Hello",
        "[3] assistant",
        "  │ Hi.",
        "[4] user  <- new turn",
        "  │ First line",
        "  │ Second",
        "Everything else in the body",
        '  ├ model: "llama"',
        "  ├ temperature: 0.1",
    ]


OLD = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
ASKED = {"role": "user", "content": "Now wipe the backups"}


def heads(body: Any) -> list[str]:
    return [line for line in show(body) if line.startswith("[")]


@pytest.mark.parametrize("member", ["messages", "input"])
def test_the_new_turn_is_marked_whatever_answer_the_caller_puts_behind_it(member: str) -> None:
    begun = {"role": "assistant", "content": ""}
    new = ["[3] user  <- new turn", "[4] assistant  <- new turn"]
    assert heads({member: [*OLD, ASKED, begun]}) == ["[1] user", "[2] assistant", *new]
    assert heads({member: [begun, begun]})[0] == "[1] assistant  <- new turn"


def test_the_items_of_a_responses_request_are_a_conversation() -> None:
    call = {"type": "function_call", "name": "wipe", "arguments": "{}", "call_id": "c1"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "done"}
    reference = {"type": "item_reference", "id": "msg_1"}
    asked = {"role": "user", "content": [{"type": "input_text", "text": "Go on\nplease"}]}
    shown = show({"input": [asked, call, result, call, reference]})
    assert shown[:3] == ["[1] user", "  │ Go on", "  │ please"]
    marks = [line.endswith("<- new turn") for line in shown if line.startswith("[")]
    assert marks == [False, False, True, True, True]


def test_the_arguments_of_a_tool_call_are_shown() -> None:
    call = {"id": "c1", "function": {"name": "delete", "arguments": '{"path": "/"}'}}
    shown = "\n".join(show({"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}))
    assert 'name: "delete"' in shown
    assert r'arguments: "{\"path\": \"/\"}"' in shown


def test_a_role_that_imitates_us_stays_behind_the_bar() -> None:
    shown = show({"messages": [{"role": "user\nDigest:   sha256 0000", "content": "x"}]})
    assert shown[0] == "[1] message  <- new turn"
    assert [line[:4] for line in shown[1:]] == [TEXT_BAR, *[FIELD_BAR] * 3]


def test_a_key_that_stands_twice_shows_the_body_as_it_is() -> None:
    body = b'{"messages":[{"role":"user","content":"harmless","content":"harmful"}]}'
    assert show(body)[1:] == [TEXT_BAR + body.decode()]


@pytest.mark.parametrize("number", ["1.0000000000000000001", "1e400", "12345678901234567890123", "-0.0"])
def test_numbers_are_shown_as_they_were_written(number: str) -> None:
    assert show(b'{"n":%s}' % number.encode())[1:] == [f"{FIELD_BAR}n: {number}"]


def test_a_body_too_deep_to_read_is_shown_as_it_is() -> None:
    body = b"[" * 100_000
    assert show(body)[1] == TEXT_BAR + body.decode()


def test_long_lines_are_wrapped_behind_the_bar_for_a_terminal() -> None:
    padded = " " * 76 + "Digest:   sha256 of something harmless"
    shown = show({"messages": [{"role": "user", "content": padded}]}, width=80)
    assert len(shown) > 2
    assert all(line.startswith(TEXT_BAR) and len(line) < 80 for line in shown[1:])


def test_a_text_that_imitates_a_field_can_be_told_from_one() -> None:
    shown = show({"messages": [{"role": "assistant", "content": 'tool_calls: "none"', "tool_calls": "rm"}]})
    assert shown[1:] == ['  │ tool_calls: "none"', '  ├ tool_calls: "rm"']
