"""What of a stream is held back for a text in a place that nobody names, and how much at most."""

from __future__ import annotations

from typing import Any

import pytest
from tests.inspection.unnamed_frames import (
    CARD,
    DIALECTS,
    SO,
    START,
    answered,
    chat,
    chat_lists,
    citations,
    completions,
    events,
    generated,
    in_tensors,
    lines,
    pieces,
    pipe_of,
    stream,
    tokens,
)

from authz_service.masking.detectors import build_scanner

SAID_ONCE = pytest.mark.parametrize(
    ("path", "frames", "later"),
    [
        ("/v1/chat/completions", chat("4111"), {"choices": [{"index": 0, "delta": {"content": "so "}}]}),
        ("/v1/completions", completions("4111"), {"choices": [{"index": 0, "text": "so "}]}),
        (
            "/v1/messages",
            citations("4111")[:-2],
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "so "}},
        ),
        ("/api/chat", lines("4111")[:-1], {"message": {"role": "assistant", "content": "so "}}),
        ("/completion", pieces("4111")[:-1], {"content": "so ", "stop": False}),
        ("/generate_stream", tokens("4111"), {"token": {"id": 5, "text": "so ", "special": False}}),
        ("/v2/models/m/generate_stream", generated("4111"), {"text_output": "so "}),
        (
            "/v2/models/m/infer_stream",
            in_tensors("4111"),
            {"outputs": [{"name": "o", "data": "so "}]},
        ),
        ("/v1/responses", events("4111"), SO),
    ],
)


@DIALECTS
def test_frames_with_nothing_in_the_place_of_a_text_hold_back_a_few_frames(path: str, frames: Any) -> None:
    pipe = pipe_of(path)
    events = frames("4111", *[None] * 20)
    released = b"".join(pipe.feed(stream(path, [event])).release for event in events[: len(START) + 11])
    assert b"4111" in released


@pytest.mark.parametrize(
    "choices",
    [
        [{"index": 0, "delta": {"content": "so ", "annotations": []}}],
        [{"index": 0, "delta": {"annotations": []}}, {"index": 1, "delta": {"content": "so "}}],
    ],
)
def test_frames_that_repeat_but_for_their_text_hold_back_a_few_frames(choices: Any) -> None:
    path = "/v1/chat/completions"
    pipe = pipe_of(path)
    later = {"choices": choices}
    events = [*chat_lists("4111"), *[later] * 11]
    released = b"".join(pipe.feed(stream(path, [event])).release for event in events)
    assert b"4111" in released


@SAID_ONCE
def test_what_the_next_frame_does_not_go_on_with_holds_nothing_back(
    path: str, frames: list[Any], later: Any
) -> None:
    pipe = pipe_of(path)
    pipe.feed(stream(path, frames))
    released = pipe.feed(stream(path, [later, later])).release.decode()
    assert "4111" in released
    assert "so " in released


@DIALECTS
@pytest.mark.parametrize("said", [str(10**12), "0", "QUFB"])
def test_what_could_go_on_to_be_a_value_for_ever_holds_back_a_few_events_at_most(
    path: str, frames: Any, said: str
) -> None:
    pipe = pipe_of(path)
    events = frames(*[said] * 300)
    waits = 0
    for i, event in enumerate(events):
        waits += 1
        waits -= pipe.feed(stream(path, [event])).release.count(
            b"\n" if path.startswith("/api/") else b"data:"
        )
        assert waits <= 129 + len(START), i


@pytest.mark.parametrize(("characters", "most"), [(600, 15), (8000, 3), (60_000, 1)])
def test_a_long_word_that_could_go_on_to_be_a_value_holds_back_a_few_events_at_most(
    characters: int, most: int
) -> None:
    path = "/v1/chat/completions"
    pipe = pipe_of(path, build_scanner(["JWT"]))
    waits = 0
    for i, event in enumerate(chat(*["eyJ" + "a" * characters] * 200)):
        waits += 1 - pipe.feed(stream(path, [event])).release.count(b"data:")
        assert waits <= most, i


def test_a_word_that_is_longer_than_what_a_text_may_hold_back_is_looked_at_for_itself() -> None:
    released, found = answered("/v1/chat/completions", chat(CARD + " " + "A" * 70_000, "so "))
    assert found == {"CREDIT_CARD": 1}
    assert CARD not in released
    assert "so " in released
    jwt = build_scanner(["JWT"])
    pipe = pipe_of("/v1/chat/completions", jwt)
    said = stream("/v1/chat/completions", chat("eyJ", "eyJ" + "a" * 70_000, "so "))
    assert pipe.feed(said).release + pipe.finish().release == said
