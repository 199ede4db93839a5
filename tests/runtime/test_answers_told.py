"""What an answer that waits says is read once, within bounds, and what is not told is said to be missing."""

from __future__ import annotations

import asyncio
import json
import sys
from types import FrameType
from typing import Any
from unittest.mock import Mock

import pytest
from tests.servers.review_made import make_hold

from authz_service.core.acts import AnswerHead
from authz_service.core.stored_holds import Hold
from authz_service.inspection.edited_answer import WholeAnswer
from authz_service.masking.detectors import build_scanner
from authz_service.runtime import revising
from authz_service.runtime.revising import Revising, ToldAnswer
from authz_service.runtime.threads import Threads

SCANNER = build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")], options={})
LARGEST = 8 * 1024 * 1024
MOST_CALLS = 2
"""Of functions, ours and the interpreter's, for each byte: less than two seconds' worth of 8 MiB."""


def answer(content: str, more: str = "") -> bytes:
    message = json.dumps({"role": "assistant", "content": content})
    return f'{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]{more}}}'.encode()


def stream(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    event = f"data: {json.dumps({'id': 'c', 'model': 'llama', 'choices': [choice]})}\n\n".encode()
    return event * (1_000_000 // len(event)) + b"data: [DONE]\n\n"


def held(body: bytes, content_type: str = "application/json") -> Hold:
    return make_hold(body=body, answer=AnswerHead(200, {"content-type": content_type}))


def rules() -> Any:
    return Mock(scanner=SCANNER, config=Mock(limits=Mock(depth=64)))


def told(hold: Hold) -> ToldAnswer:
    unasked: Any = None
    return asyncio.run(Revising(rules, unasked, Threads(), unasked).told(hold))


def test_an_answer_is_read_once_for_what_can_be_edited_and_what_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Mock(side_effect=WholeAnswer._read, autospec=True)
    monkeypatch.setattr(WholeAnswer, "_read", lambda self, edits: read(self, edits))
    said = told(held(answer("I am E-123456")))
    assert said.texts == {"choices/0/content": "I am E-123456"}
    assert [text.name for text in said.found] == ["choices/0/content"]
    assert (said.is_marked, read.call_count) == (True, 1)


def test_what_cannot_be_read_or_has_too_many_values_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(held(b"no json")) == ToldAnswer({}, (), is_marked=False)
    monkeypatch.setattr(revising, "MOST_VALUES", 9)
    assert told(held(answer("a", f', "x": {[1] * 9}'))) == ToldAnswer({}, (), is_marked=False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (answer("a", f', "x": [{",".join(["[" * 55 + "]" * 55] * 70_000)}]'), "application/json"),
        (answer("E-123456 " * (LARGEST // 9)), "application/json"),
        (stream("word "), "text/event-stream"),
        (b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n' * 15_000, "text/event-stream"),
    ],
    ids=["deep", "found", "stream", "small events"],
)
def test_no_answer_takes_more_calls_than_two_for_each_byte(body: bytes, content_type: str) -> None:
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        revising._told(rules(), held(body, content_type))
    finally:
        sys.setprofile(None)
    assert count < MOST_CALLS * len(body)
