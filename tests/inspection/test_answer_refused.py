"""Answers that cannot be read, or are more than the limits permit, end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.inspection.answer_pipes import pipe

from authz_service.errors import Unreadable


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"data: {\n\n", "invalid_json"),
        (b"data: hello\n\n", "invalid_json"),
        (b'data: {"choices":[],"choices":[]}\n\n', "duplicate_key"),
        (b'data: {"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n', "lone_surrogate"),
        (b"data: " + b"[" * 99 + b"]" * 99 + b"\n\n", "too_deep"),
        (b'data: {"choices":[', "truncated_stream"),
        (b"data: [DONE]\n\ndata: {}\n\n", "unreadable_answer"),
        (b"data: [DONE]\n\ndata: [DONE]\n\n", "unreadable_answer"),
        (b"data: \xff\n\n", "invalid_utf8"),
        (b"data: 5\n\n", "unreadable_answer"),
        (b"data: " + b"x" * 200_000, "event_too_large"),
    ],
)
def test_what_cannot_be_read_ends_the_stream_and_nothing_queued_is_flushed(
    kit: Any, stream: bytes, code: str
) -> None:
    p = pipe(kit)
    assert p.feed(kit.sse([kit.chunk(kit.delta(content="12345"))], end=False)).release == b""
    with pytest.raises(Unreadable) as refused:
        kit.run(p, [stream])
    assert (refused.value.code, refused.value.status) == (code, 502)
    with pytest.raises(RuntimeError):
        p.feed(b"data: [DONE]\n\n")
    with pytest.raises(RuntimeError):
        p.finish()


def test_a_finished_pipe_takes_nothing_more(kit: Any) -> None:
    p = pipe(kit)
    p.finish()
    with pytest.raises(RuntimeError):
        p.feed(b"x")


def test_more_held_bytes_than_the_limit_end_the_stream(kit: Any) -> None:
    p = pipe(kit, max_body=2000)
    events = kit.sse([kit.chunk(kit.delta(content="1"))] * 50, end=False)
    with pytest.raises(Unreadable) as refused:
        p.feed(events)
    assert refused.value.code == "buffer_overflow"


def test_more_texts_under_way_than_the_limit_end_the_answer(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.inspection.frames.MOST_CHANNELS", 5)
    stream = kit.sse([kit.chunk(kit.delta(**{f"unknown{i}": "x" for i in range(6)}))])
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit), [stream])
    assert refused.value.code == "buffer_overflow"


def test_a_whole_body_over_the_limit_is_refused(kit: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        pipe(kit, content_type="application/json", max_body=10).feed(b"x" * 11)
    assert (refused.value.code, refused.value.status) == ("answer_too_large", 502)


@pytest.mark.parametrize(
    "content_type", ["", "text/html", "application/x-ndjson", "text/event-stream; charset=utf-16"]
)
def test_an_answer_that_is_neither_json_nor_a_stream_is_refused(kit: Any, content_type: str) -> None:
    with pytest.raises(Unreadable) as refused:
        pipe(kit, content_type=content_type)
    assert (refused.value.code, refused.value.status) == ("unreadable_answer", 502)


def test_a_finding_in_a_key_that_must_be_masked_ends_the_answer(kit: Any) -> None:
    stream = kit.sse([kit.chunk(kit.delta(extra={"a@b": "x"}))])
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit), [stream])
    assert refused.value.code == "unmaskable"
    assert "a@b" not in str(refused.value)
    assert kit.run(pipe(kit, masked_entities=frozenset()), [stream]).found == {"ADDRESS": 1}


def test_a_key_of_an_error_body_that_must_be_masked_ends_it(kit: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit, content_type="application/json", is_error=True), [b'{"a@b":1}'])
    assert refused.value.code == "unmaskable"
