"""What no dialect names, beside a text that goes on, is looked at for itself and joined over the frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.detectors import build_scanner
from authz_service.masking.placeholders import EVERYWHERE, Placeholders
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

CARD = "4111111111111111"
SCANNER = build_scanner(["CREDIT_CARD"])
START = [
    {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
]
SO = {"type": "response.output_text.delta", "item_id": "i", "content_index": 0, "delta": "so "}
STOP = [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]


def chat(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {"own": text}}]} for text in said]


def chat_lists(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {"annotations": [{"title": text}]}}]} for text in said]


def completions(*said: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "text": "", "reasoning": text}]} for text in said]


def deltas(*said: Any) -> list[Any]:
    deltas = [{"type": "compaction_delta", "content": text} for text in said]
    return [*START, *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas), *STOP]


def citations(*said: Any) -> list[Any]:
    deltas = [{"type": "citations_delta", "citation": {"cited_text": text}} for text in said]
    return [*START, *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas), *STOP]


def lines(*said: Any) -> list[Any]:
    messages: list[dict[str, Any]] = [{"message": {"role": "assistant", "reasoning": text}} for text in said]
    return [*messages, {"message": {"content": ""}, "done": True}]


def pieces(*said: Any) -> list[Any]:
    return [*({"content": "", "own": text, "stop": False} for text in said), {"content": "", "stop": True}]


def tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False}, "own": {"text": text}} for text in said]


def in_tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False, "own": text}} for text in said]


def generated(*said: Any) -> list[Any]:
    return [{"model_name": "m", "text_output": "", "reasoning_output": text} for text in said]


def generated_lines(*said: Any) -> list[Any]:
    return [*({"response": "", "own": text} for text in said), {"response": "", "done": True}]


def own_pieces(*said: Any) -> list[Any]:
    return [{"content": "", "text": text, "stop": False} for text in said]


def pieces_within(*said: Any) -> list[Any]:
    return [{"content": "", "message": {"content": text}, "stop": False} for text in said]


def beside_tokens(*said: Any) -> list[Any]:
    return [{"token": {"id": 5, "text": "", "special": False}, "text": text} for text in said]


def inputs(*said: Any) -> list[Any]:
    return [*({"response": "", "input": text} for text in said), {"response": "", "done": True}]


def contents(*said: Any) -> list[Any]:
    return [{"model_name": "m", "text_output": "", "contents": text} for text in said]


def beside_tensors(*said: Any) -> list[Any]:
    return [{"model_name": "m", "outputs": [], "contents": text} for text in said]


def in_tensors(*said: Any) -> list[Any]:
    tensors = [{"name": "o", "datatype": "BYTES", "shape": [1], "data": ["so "], "own": own} for own in said]
    return [{"model_name": "m", "outputs": [tensor]} for tensor in tensors]


def events(*said: Any) -> list[Any]:
    return [{**SO, "text": text} for text in said]


def own_events(*said: Any) -> list[Any]:
    return [{"type": "response.own.delta", "item_id": "i", "delta": {"n": "so "}, "own": s} for s in said]


DIALECTS = pytest.mark.parametrize(
    ("path", "frames"),
    [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat_lists),
        ("/v1/completions", completions),
        ("/v1/messages", deltas),
        ("/v1/messages", citations),
        ("/api/chat", lines),
        ("/api/generate", generated_lines),
        ("/completion", pieces),
        ("/generate_stream", tokens),
        ("/generate_stream", in_tokens),
        ("/v2/models/m/generate_stream", generated),
        ("/completion", own_pieces),
        ("/completion", pieces_within),
        ("/generate_stream", beside_tokens),
        ("/api/generate", inputs),
        ("/v2/models/m/generate_stream", contents),
        ("/v2/models/m/infer_stream", beside_tensors),
        ("/v2/models/m/infer_stream", in_tensors),
        ("/v1/responses", events),
        ("/v1/responses", own_events),
    ],
)


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


def answered(path: str, frames: list[Any]) -> tuple[str, dict[str, int]]:
    pipe = pipe_of(path)
    steps = [pipe.feed(stream(path, frames)), pipe.finish()]
    found_in = {key: n for step in steps for key, n in step.found.items()}
    return b"".join(step.release for step in steps).decode(), found_in


def stream(path: str, frames: list[Any]) -> bytes:
    frame = "{}\n" if path.startswith("/api/") else "data: {}\n\n"
    return "".join(frame.format(json.dumps(document)) for document in frames).encode()


def pipe_of(path: str, scanner: Scanner = SCANNER, placeholders: Placeholders | None = None) -> AnswerPipe:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    is_lines = path.startswith("/api/")
    return answer_pipe(
        api=api,
        request=RequestView(api.name, operation.name, "m", True, ()),
        content_type="application/x-ndjson" if is_lines else "text/event-stream",
        scanner=scanner,
        masked_entities=scanner.entities,
        max_body=1 << 20,
        max_depth=64,
        placeholders=placeholders,
    )


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
