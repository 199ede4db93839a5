"""What a body says is told within bounds, and what is not told is said to be missing."""

from __future__ import annotations

import hashlib
import json
import sys
from types import FrameType
from typing import Any

import pytest

from authz_service.inspection.marks import MOST_MARKS
from authz_service.inspection.shown import MOST_VALUES, LeftOut, Shown, shown
from authz_service.masking.detectors import build_scanner
from authz_service.view.unread import Kind

SCANNER = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})
LARGEST = 8 * 1024 * 1024
MOST_CALLS = 3_000_000
"""Of functions, ours and the interpreter's: a second's worth, whatever the machine."""


def chat(content: Any = "hi", **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **more}).encode()


def told(body: bytes, *, api: str = "openai_chat", operation: str = "chat_completions") -> Shown:
    return shown(api, operation, body, SCANNER, lambda: True)


def filled(unit: str, head: str, tail: str, *, most: int = 10**9) -> bytes:
    count = min(most, (LARGEST - len(head) - len(tail)) // (len(unit) + 1))
    return f"{head}{','.join([unit] * count)}{tail}".encode()


AROUND = '{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":[', "]}"
MESSAGES = '{"model":"m","messages":[', "]}"
HALF = MOST_VALUES // 2


@pytest.mark.parametrize(
    "body",
    [
        filled("[" * 55 + '"a"' + "]" * 55, *AROUND),
        filled("1", *AROUND),
        filled('{"role":"user","content":"a"}', *MESSAGES),
        filled("[" * 55 + '"a"' + "]" * 55, *AROUND, most=MOST_VALUES // 57),
        filled('{"a":"b"}', *AROUND, most=HALF - 10),
        filled('{"role":"user","content":"' + "a, " * 50 + '"}', *MESSAGES, most=MOST_VALUES // 3 - 10),
        chat("a, [b] {c} " * (LARGEST // 11)),
        chat("E-123456 " * (LARGEST // 9)),
        chat("4111 1111 1111 1112 " * (LARGEST // 20)),
    ],
    ids=[
        "deep",
        "numbers",
        "messages",
        "deep most",
        "objects most",
        "messages most",
        "text",
        "found",
        "digits",
    ],
)
def test_no_body_of_8_mib_takes_more_than_a_bounded_number_of_calls(body: bytes) -> None:
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        # As long as the search may take: here by the number of calls.
        shown("openai_chat", "chat_completions", body, SCANNER, lambda: count < MOST_CALLS // 2)
    finally:
        sys.setprofile(None)
    assert count < MOST_CALLS


def test_a_body_with_too_many_values_is_not_read_and_says_so() -> None:
    most = told(filled("1", *AROUND, most=MOST_VALUES - 10))
    assert (most.left_out, most.is_marked) == (None, True)
    more = told(filled("1", *AROUND, most=MOST_VALUES))
    assert (more.left_out, more.is_marked, more.conversation) == (LeftOut.TOO_MANY_VALUES, False, None)


def test_more_is_not_looked_for_than_there_is_time_and_it_says_so() -> None:
    body = chat(["E-000001", "E-000002"])
    asked: list[int] = []

    def has_time() -> bool:
        asked.append(1)
        return len(asked) < 3

    said = shown("openai_chat", "chat_completions", body, SCANNER, has_time)
    assert not said.is_marked
    assert len([m for m in told(body).marks if m.entity == "EMPLOYEE_ID"]) == 2
    assert len(said.marks) < len(told(body).marks)
    assert said.conversation is not None


def test_more_is_not_told_than_anybody_reads_and_it_says_so() -> None:
    said = told(chat("E-123456 " * (MOST_MARKS + 1)))
    assert (len(said.marks), said.is_marked) == (MOST_MARKS, False)
    assert told(chat("E-123456 " * 10)).is_marked


def test_what_is_found_in_a_long_text_is_what_is_found_in_it_at_once() -> None:
    text = ("so " * 30_000 + "E-123456 ") * 3 + "x" * 65_530 + " E-654321"
    marks = [(m.start, m.end) for m in told(chat(text)).marks if m.entity == "EMPLOYEE_ID"]
    assert [text[start:end] for start, end in marks] == ["E-123456"] * 3 + ["E-654321"]


def test_a_body_that_its_api_does_not_read_is_unread_as_a_whole() -> None:
    said = told(b'{"messages": 1}')
    assert (said.left_out, said.unread[0].kind, said.unread[0].size) == (
        LeftOut.UNREADABLE,
        Kind.MALFORMED,
        15,
    )
    assert told(chat(), api="nobody's") == Shown(is_marked=False, left_out=LeftOut.UNREADABLE)


def test_a_form_is_laid_out_by_its_fields_and_a_file_by_what_stands_for_it() -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nw\r\n'
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nE-123456\r\n'
        b'--b\r\nContent-Disposition: form-data; name="timestamp_granularities[]"\r\n\r\nword\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"
    )
    said = told(form, api="openai_audio", operation="transcriptions")
    assert said.conversation is not None
    (turn,) = said.conversation.turns
    assert (turn.turn.path, turn.is_new) == (("prompt",), True)
    assert [mark.entity for mark in turn.parts[0].rows[0].marks] == ["EMPLOYEE_ID"]
    rest = {part.part.name: [row.text or row.literal for row in part.rows] for part in said.conversation.rest}
    assert rest == {
        "model": ["w"],
        "timestamp_granularities[]": ["", "word"],
        "file": ["", "a.wav", "audio/wav", "4", hashlib.sha256(b"RIFF").hexdigest()],
    }
    assert ("prompt",) in [mark.path for mark in said.marks]
    assert [unread.kind for unread in said.unread] == [Kind.AUDIO]


@pytest.mark.parametrize("byte", [b"x", b",", b"["])
def test_what_is_unread_in_a_form_and_found_in_it_is_told_whatever_bytes_a_recording_has(byte: bytes) -> None:
    """A recording has no values, of which there could be too many."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nw\r\n'
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nE-123456\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF%b\r\n--b--\r\n'
    )
    said = told(form % (byte * MOST_VALUES), api="openai_audio", operation="transcriptions")
    assert (said.left_out, said.is_marked) == (None, True)
    assert [(unread.kind, unread.size) for unread in said.unread] == [(Kind.AUDIO, MOST_VALUES + 4)]
    assert [mark.path for mark in said.marks if mark.entity == "EMPLOYEE_ID"] == [("prompt",)]
