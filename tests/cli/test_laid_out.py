"""A request as the service lays it out is on the screen whole, with what was found where it stands."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conversations import JSON, MESSAGE, TEXT, values

from authz_api.v1 import holds_pb2 as pb
from authz_cli.conversation import FIELD_BAR, FOUND_BAR, TEXT_BAR
from authz_cli.hold_text import hold_page
from authz_cli.laid_out import is_of, laid_out
from authz_cli.safe_text import safe_line
from authz_service.inspection.shown import shown
from authz_service.masking.detectors import build_scanner
from authz_service.servers.review_conversation import add_shown

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SCANNER = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})
CHAT = ("openai_chat", "chat_completions")
BARS = (TEXT_BAR, FIELD_BAR, FOUND_BAR)


def told(body: bytes, api: tuple[str, str] = CHAT, approved: int | None = None) -> pb.HoldContext:
    context = pb.HoldContext()
    said = shown(*api, body, SCANNER, lambda: True)
    add_shown(context, said, None if approved is None else lambda path: int(path[1]) < approved)
    return context


def show(body: Any, api: tuple[str, str] = CHAT, width: int | None = None) -> list[str]:
    return list(laid_out(told(json.dumps(body).encode(), api).conversation, width))


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}


ASKED = {"role": "user", "content": "Wipe it."}


def test_a_request_of_any_api_reads_as_a_conversation() -> None:
    body = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "First\nE-123456 please"}]},
            {"type": "function_call", "call_id": "c", "name": "wipe", "arguments": '{"of": "E-654321"}'},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
        "temperature": 0.5,
    }
    assert show(body, ("openai_responses", "responses")) == [
        "[1] system (instructions)",
        "  │ Be brief.",
        "[2] user",
        "  │ First",
        "  │ E-123456 please",
        "  ┊ ^ EMPLOYEE_ID: E-123456",
        "[3] function_call",
        '  ├ type: "function_call"',
        '  ├ call_id: "c"',
        '  ├ name: "wipe"',
        r'  ├ arguments: "{\"of\": \"E-654321\"}"',
        "  ┊ ^ EMPLOYEE_ID: E-654321",
        "[4] function_call_output  <- new turn",
        '  ├ type: "function_call_output"',
        '  ├ call_id: "c"',
        '  ├ output: "done"',
        "Everything else in the body",
        '  ├ model: "m"',
        "  ├ temperature: 0.5",
    ]


@pytest.mark.parametrize(
    ("api", "body", "line", "below"),
    [
        (CHAT, chat({"role": "system", "content": "of E-123456"}, ASKED), "  │ of E-123456", "E-123456"),
        (CHAT, chat({**ASKED, "name": "E-123456"}), '  ├ name: "E-123456"', "E-123456"),
        (CHAT, chat(ASKED, metadata={"E-123456": "x"}), '  ├   "E-123456": "x"', "E-123456"),
        (CHAT, chat({**ASKED, "E-123456": 1}), '  ├ "E-123456": 1', "E-123456"),
        (CHAT, chat({**ASKED, "E-123456": ["a"]}), '  ├ "E-123456":', "E-123456"),
        (CHAT, chat({**ASKED, "E-123456": "a\nb"}), '  ├ "E-123456":', "E-123456"),
        (CHAT, chat(ASKED, tools=[{"type": "E-123456\nb"}]), "  ├     | E-123456", "E-123456"),
        (("tgi", "generate"), {"inputs": "a E-123456"}, "  │ a E-123456", "E-123456"),
        (
            ("openai_completions", "completions"),
            {"model": "m", "prompt": ["E-123456"]},
            "  │ E-123456",
            "E-123456",
        ),
    ],
)
def test_what_was_found_stands_below_its_line_wherever_that_is(
    api: tuple[str, str], body: Any, line: str, below: str
) -> None:
    lines = show(body, api)
    assert lines[lines.index(line) + 1] == f"{FOUND_BAR}EMPLOYEE_ID: {below}"


def test_a_text_in_whose_name_something_is_found_is_shown_with_that_name() -> None:
    conversation = told(json.dumps(chat(ASKED)).encode()).conversation
    row = conversation.turns[0].parts[0].rows[0]
    row.found.add(start=0, end=7, entity="WORD", is_key=True)
    assert list(laid_out(conversation, None))[1:3] == ['  ├ content: "Wipe it."', "  ┊ ^ WORD: content"]


def test_the_place_of_a_part_has_positions_as_they_are_and_names_in_quotes() -> None:
    part = {"type": "text", "text": "hi", "a b": 1, "0\u0663": 2}
    lines = show(chat({"role": "user", "content": [part]}))
    assert '  ├ content/0/"a b": 1' in lines
    assert '  ├ content/0/"0\u0663": 2' in lines


def test_each_turn_says_whether_it_was_approved_before() -> None:
    roles = ("user", "assistant", "user")
    body = json.dumps(chat(*({"role": role, "content": "a"} for role in roles))).encode()
    heads = [line for line in laid_out(told(body, approved=1).conversation, None) if line.startswith("[")]
    assert heads == [
        "[1] user  (approved before)",
        "[2] assistant  <- new since then",
        "[3] user  <- new turn",
    ]


def test_a_role_or_a_name_that_imitates_us_stays_behind_a_bar() -> None:
    conversation = told(json.dumps(chat(ASKED)).encode()).conversation
    conversation.turns[0].role = "user\nDigest:   sha256 0000"
    conversation.turns[0].parts[0].kind = pb.PART_KIND_FIELD
    conversation.turns[0].parts[0].path += "/a\n[9] system"
    lines = list(laid_out(conversation, None))
    assert lines[0] == "[1] message  <- new turn"
    assert all(line.startswith(BARS) for line in lines[1:3])


BODY = st.builds(
    chat, MESSAGE, MESSAGE, tools=JSON, metadata=st.dictionaries(TEXT, JSON, max_size=3)
) | st.builds(
    lambda messages, x: chat(*messages, metadata=x), st.lists(MESSAGE, min_size=1, max_size=3), JSON
)


@given(BODY, st.none() | st.integers(24, 60))
def test_every_text_is_shown_whole_and_every_line_of_the_callers_begins_with_a_bar(
    body: Any, width: int | None
) -> None:
    raw = json.dumps(body).encode()
    context = told(raw)
    if not context.HasField("conversation"):
        return
    assert is_of(context.conversation, raw)
    for line in laid_out(context.conversation, width):
        is_head = line.startswith("[") and line.split("]")[0][1:].isdigit()
        assert line.startswith(BARS) or is_head or line == "Everything else in the body"
    page = "\n".join(laid_out(context.conversation, None)).replace('\\"', '"').replace("\\\\", "\\")
    for text in values(body):
        for line in text.split("\n"):
            is_name = text in ("messages", "content", "role", "type", "input_text")
            assert is_name or safe_line(line) in page or safe_line(f"x{line}")[1:] in page


def test_what_is_laid_out_is_what_the_bytes_say_or_they_are_shown_as_they_are() -> None:
    body = json.dumps(chat({"role": "user", "content": "harmful"})).encode()
    context = told(body)
    hold = pb.Hold(id="hld_1", forward=body)
    assert "other words" not in "\n".join(hold_page(hold, now=NOW, width=None, context=context))
    context.conversation.turns[0].parts[0].rows[0].text = "harmless"
    assert not is_of(context.conversation, body)
    page = list(hold_page(hold, now=NOW, width=None, context=context))
    assert "The server has laid out other words than are in these bytes, which are shown as they are" in page
    assert "  │ harmful" in page
    assert "  │ harmless" not in page


@pytest.mark.parametrize(
    "changed",
    [
        lambda said: said.turns[0].parts.pop(),
        lambda said: said.turns[0].parts[0].rows.add(text="Wipe nothing."),
        lambda said: said.rest.pop(),
        lambda said: setattr(said.rest[1].rows[1], "key", "harmless"),
    ],
)
def test_what_is_left_out_or_put_in_is_noticed(changed: Any) -> None:
    body = json.dumps(chat(ASKED, metadata={"a": "b"})).encode()
    conversation = told(body).conversation
    assert is_of(conversation, body)
    changed(conversation)
    assert not is_of(conversation, body)
    assert not is_of(pb.Conversation(), b"no JSON, which a reviewer has to see")


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (pb.LEFT_OUT_UNSPECIFIED, "another version"),
        (pb.LEFT_OUT_TOO_MANY_VALUES, "too many values"),
        (pb.LEFT_OUT_TOO_LARGE, "too large"),
        (99, "another version"),
    ],
)
def test_what_is_not_laid_out_is_shown_as_it_is_and_says_why(left_out: Any, said: str) -> None:
    hold = pb.Hold(id="hld_1", forward=json.dumps(chat(ASKED)).encode())
    context = pb.HoldContext(left_out=left_out, found_is_partial=True)
    page = list(hold_page(hold, now=NOW, width=None, context=context))
    assert "  │ Wipe it." in page
    assert any(line.startswith("Shown as it is") and said in line for line in page)
    assert "Found at: there may be more to find: not all of this was searched, or told" in page


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nw\r\n'
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nIn two\r\nlines\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRIFF\xff\r\n--b--\r\n"
)
AUDIO = ("openai_audio", "transcriptions")


def test_a_form_reads_as_what_is_said_in_it_and_what_stands_for_its_file() -> None:
    context = told(FORM, AUDIO)
    assert is_of(context.conversation, FORM)
    assert list(laid_out(context.conversation, None)) == [
        "[1] user (prompt)  <- new turn",
        "  │ In two␍",
        "  │ lines",
        "Everything else in the body",
        '  ├ model: "w"',
        "  ├ file:",
        '  ├   filename: "a.wav"',
        '  ├   content_type: "audio/wav"',
        "  ├   size: 5",
        f'  ├   sha256: "{hashlib.sha256(b"RIFF" + bytes([255])).hexdigest()}"',
    ]


@pytest.mark.parametrize(
    "body",
    [
        FORM.replace(b"RIFF", b"RIFE"),
        FORM.replace(b"lines", b"words"),
        FORM.replace(b"a.wav", b"b.wav"),
        FORM.replace(b'name="prompt"', b'name="model"'),
        FORM.replace(b"\r\n\r\n", b"\r\n"),
        FORM.replace(b"--b--", b"--b-"),
        FORM.replace(b"RIFF", b'RIFF\r\n--b\r\nContent-Disposition: form-data; name="more"\r\n\r\nx'),
        FORM.replace(b"w\r\n", b"\xff\r\n"),
        b"--",
        b"--\r\n",
    ],
)
def test_a_form_that_is_not_what_is_laid_out_is_noticed(body: bytes) -> None:
    assert not is_of(told(FORM, AUDIO).conversation, body)


def test_a_form_as_it_is_shown_has_its_bytes_where_the_server_laid_out_another() -> None:
    hold = pb.Hold(id="hld_1", forward=FORM.replace(b"lines", b"words"))
    page = list(hold_page(hold, now=NOW, width=None, context=told(FORM, AUDIO)))
    assert "The server has laid out other words than are in these bytes, which are shown as they are" in page
    assert any("words" in line for line in page)


def test_a_number_that_is_laid_out_otherwise_than_it_is_written_is_noticed() -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 1E2, "stop": null}'
    conversation = told(body).conversation
    assert "  ├ temperature: 1E2" in list(laid_out(conversation, None))
    assert is_of(conversation, body)
    (row,) = (row for part in conversation.rest for row in part.rows if row.literal == "1E2")
    row.literal = "100.0"
    assert not is_of(conversation, body)
    assert not is_of(told(body).conversation, body.replace(b"null", b"true"))


def test_the_texts_of_a_tensor_are_read_with_its_name() -> None:
    tensors = [
        {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["Wipe\nit."]},
        {"name": "batch", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    ]
    assert show({"inputs": tensors}, ("open_inference", "infer")) == [
        "[1] user (inputs/0)  <- new turn",
        '  ├ name: "prompt"',
        "  ├ shape:",
        "  ├   - 1",
        '  ├ datatype: "BYTES"',
        "  │ Wipe",
        "  │ it.",
        "[2] user (inputs/1)  <- new turn",
        '  ├ name: "batch"',
        "  ├ shape:",
        "  ├   - 2",
        '  ├ datatype: "BYTES"',
        "  ├ data:",
        '  ├   - "a"',
        '  ├   - "b"',
    ]
