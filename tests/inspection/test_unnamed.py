"""What no dialect names, beside a text that goes on, is looked at for itself and joined over the frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.inspection.unnamed_frames import CARD, DIALECTS, START, STOP, answered, chat, pipe_of, stream

from authz_service.errors import Unreadable
from authz_service.masking.placeholders import EVERYWHERE, Placeholders


@DIALECTS
def test_a_value_that_goes_on_in_the_next_frame_is_masked(path: str, frames: Any) -> None:
    released, found = answered(path, frames("4111 1111 ", "1111 1111"))
    assert found == {"CREDIT_CARD": 1}
    assert "1111" not in released


@DIALECTS
@pytest.mark.parametrize("nothing", ["", None, {}])
def test_a_value_that_goes_on_after_a_frame_with_nothing_in_its_place_is_masked(
    path: str, frames: Any, nothing: Any
) -> None:
    released, found = answered(path, frames("4111 1111 ", nothing, nothing, "1111 1111"))
    assert found == {"CREDIT_CARD": 1}
    assert "1111" not in released


@pytest.mark.parametrize("block", [{"content": "4111 1111 "}, {"content": {"text": "4111 1111 "}}])
def test_what_a_block_of_an_unknown_kind_begins_with_goes_on_in_its_deltas(block: dict[str, Any]) -> None:
    begins = {"type": "content_block_start", "index": 0, "content_block": {"type": "compaction", **block}}
    more = json.loads(json.dumps(block).replace("4111 ", "1111 "))
    goes_on = {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", **more}}
    released, found = answered("/v1/messages", [START[0], begins, goes_on, *STOP])
    assert found == {"CREDIT_CARD": 1}
    assert "1111" not in released


@DIALECTS
def test_a_whole_value_is_masked_whatever_the_next_frame_says(path: str, frames: Any) -> None:
    released, found = answered(path, frames(CARD, "1 more"))
    assert found == {"CREDIT_CARD": 1}
    assert CARD not in released
    assert "1 more" in released


@DIALECTS
def test_what_has_no_value_keeps_its_bytes(path: str, frames: Any) -> None:
    said = frames("4111 1111", "so", "it goes")
    released, found = answered(path, said)
    assert (found, released.count("{")) == ({}, json.dumps(said).count("{"))
    assert "4111 1111" in released


@DIALECTS
def test_a_placeholder_that_goes_on_in_the_next_frame_comes_back(path: str, frames: Any) -> None:
    placeholders = Placeholders({"EMAIL_ADDRESS": EVERYWHERE})
    placeholders.name("EMAIL_ADDRESS", "jane@example.com")
    pipe = pipe_of(path, placeholders=placeholders)
    said = stream(path, frames("to <EMAIL_", "ADDRESS_1>, <EMAIL_", "ADDRESS_2>"))
    released = (pipe.feed(said).release + pipe.finish().release).decode()
    assert "jane@example.com" in released
    assert "ADDRESS_1" not in released
    assert "ADDRESS_2>" in released


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/api/chat", {"message": {"content": "", "own/n": "1", "own": {"n": CARD}}, "done": False}),
        ("/api/chat", {"message": {"content": "", "own": {"n": CARD}, "own/n": "1"}, "done": False}),
        ("/generate_stream", {"token": {"id": 5, "text": "", "x": "1"}, "token/x": CARD}),
        ("/completion", {"content": "", "a/b": "1", "a": {"b": CARD}, "stop": False}),
    ],
)
def test_two_fields_that_nobody_named_are_two_texts_whatever_they_are_called(path: str, event: Any) -> None:
    released, found = answered(path, [event])
    assert found == {"CREDIT_CARD": 1}
    assert CARD not in released


def test_a_choice_that_stands_twice_in_an_event_is_refused() -> None:
    both = {
        "choices": [{"index": 0, "delta": {"content": "so"}}, {"index": 0, "delta": {"own": "4111 1111 "}}]
    }
    with pytest.raises(Unreadable, match="two have the same index"):
        answered("/v1/chat/completions", [*chat("so "), both])
