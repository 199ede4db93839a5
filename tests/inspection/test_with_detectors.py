"""The pipe with the real detectors: values of every kind, cut anywhere, in prose and in tool arguments."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.detectors import build_scanner
from authz_service.masking.seams import Scanner
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0B\n-----END PRIVATE KEY-----"
VALUES = [
    "jane.doe+x@example.co.uk", "4111 1111 1111 1111", "4111-1111-1111-1111 2",
    "DE89 3704 0044 0532 0130 00",
    "078-05-1120", "192.168.10.20", "2001:db8::ff00:42:8329", "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9, PEM,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "E-123456", PEM.replace("\n", "\\n"),
]  # fmt: skip
FILLERS = ["", " ", "\n", ". ", "é", "😀 ", "my key: ", '"', "\\", "1", "a", "@", "-", "the end."]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Whole values and halves of them, with something between."""
    pieces: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        value = draw(st.sampled_from(VALUES))
        begin = draw(st.sampled_from([0, 0, 0, 1, len(value) // 2]))
        end = draw(st.sampled_from([len(value), len(value), len(value) // 2, len(value) - 1]))
        pieces += (draw(st.sampled_from(FILLERS)), value[begin:end])
    return "".join((*pieces, draw(st.sampled_from(FILLERS))))


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return build_scanner(custom=[("EMPLOYEE_ID", r"E-\d{6}")])


def pipe(kit: Any, scanner: Scanner, entities: frozenset[str], content_type: str) -> AnswerPipe:
    return answer_pipe(
        api=OpenAiChat(),
        request=kit.request,
        content_type=content_type,
        scanner=scanner,
        masked_entities=entities,
        max_body=1_000_000,
        max_depth=16,
    )


def cut(text: str, at: list[int]) -> list[str]:
    bounds = [0, *sorted(min(a, len(text)) for a in at), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


def streamed(kit: Any, scanner: Scanner, entities: frozenset[str], pieces: list[str]) -> str:
    stream = kit.sse([kit.chunk(kit.delta(content=piece)) for piece in pieces])
    released = kit.run(pipe(kit, scanner, entities, "text/event-stream"), [stream])
    return str(kit.heard(released.data).get((0, "content"), ""))


def whole(kit: Any, scanner: Scanner, entities: frozenset[str], text: str) -> str:
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}).encode()
    released = kit.run(pipe(kit, scanner, entities, "application/json"), [body])
    return str(json.loads(released.data)["choices"][0]["message"]["content"])


@settings(max_examples=300, deadline=None)
@given(texts(), st.lists(st.integers(0, 300), max_size=12), st.booleans())
def test_a_stream_says_what_the_masking_of_the_whole_says(
    kit: Any, scanner: Scanner, text: str, at: list[int], is_all: bool
) -> None:
    entities = scanner.entities if is_all else frozenset({"EMAIL_ADDRESS", "PRIVATE_KEY", "IP_ADDRESS"})
    expected = kit.masked_text(text, scanner.scan(text), entities)
    assert whole(kit, scanner, entities, text) == expected
    assert streamed(kit, scanner, entities, cut(text, at)) == expected
    assert streamed(kit, scanner, entities, list(text)) == expected


@pytest.mark.parametrize("value", VALUES)
def test_a_value_cut_at_any_two_places_never_crosses(kit: Any, scanner: Scanner, value: str) -> None:
    text = f"so {value} ok"
    expected = kit.masked_text(text, scanner.scan(text), scanner.entities)
    assert value not in expected
    for begin in range(0, len(text), 1 + len(text) // 40):
        for end in (begin + 1, begin + 7, len(text)):
            assert streamed(kit, scanner, scanner.entities, cut(text, [begin, end])) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(texts(), max_size=3), st.lists(st.integers(0, 500), max_size=12), st.booleans())
def test_streamed_tool_arguments_stay_json_and_say_what_the_whole_says(
    kit: Any, scanner: Scanner, values: list[str], at: list[int], is_ascii: bool
) -> None:
    arguments = json.dumps({"n": 4111111111111111, "v": values}, ensure_ascii=is_ascii)
    first = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": a}} for a in cut(arguments, at)]
    calls = [kit.delta(tool_calls=[call]) for call in (first, *rest)]
    stream = kit.sse([kit.chunk(call) for call in calls])
    released = kit.run(pipe(kit, scanner, scanner.entities, "text/event-stream"), [stream]).data
    events = [json.loads(e[6:]) for e in released.split(b"\n\n") if e.startswith(b"data: {")]
    told = "".join(e["choices"][0]["delta"]["tool_calls"][0]["function"].get("arguments", "") for e in events)
    expected = {"n": "[CREDIT_CARD]", "v": [whole(kit, scanner, scanner.entities, v) for v in values]}
    assert json.loads(told) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(texts(), min_size=1, max_size=3))
def test_a_request_carries_each_text_masked(kit: Any, scanner: Scanner, contents: list[str]) -> None:
    body = {"model": "llama", "messages": [{"role": "user", "content": c} for c in contents]}
    inspection = inspect_request(
        json.dumps(body).encode(),
        api=OpenAiChat(),
        operation=CHAT_COMPLETIONS,
        scanner=scanner,
        masked_entities=scanner.entities,
        models={"llama": "llama"},
        noise=(),
        max_depth=16,
    )
    said = [m["content"] for m in json.loads(inspection.forward)["messages"]]
    assert said == [kit.masked_text(c, scanner.scan(c), scanner.entities) for c in contents]


def test_a_key_in_two_parts_of_a_message_is_masked_in_both(kit: Any, scanner: Scanner) -> None:
    parts = [{"type": "text", "text": t} for t in (PEM[:40], PEM[40:] + " ok")]
    inspection = inspect_request(
        json.dumps({"model": "llama", "messages": [{"role": "user", "content": parts}]}).encode(),
        api=OpenAiChat(),
        operation=CHAT_COMPLETIONS,
        scanner=scanner,
        masked_entities=scanner.entities,
        models={"llama": "llama"},
        noise=(),
        max_depth=16,
    )
    said = [p["text"] for p in json.loads(inspection.forward)["messages"][0]["content"]]
    assert said == ["[PRIVATE_KEY]", " ok"]


@pytest.mark.parametrize(
    "last", ["it is 42.", "4111 1111", "jane@", "-----BEGIN PRIV", "see 10.0.0.1", "E-12345"]
)
def test_the_first_word_of_an_answer_does_not_wait_for_how_its_reasoning_ended(
    kit: Any, scanner: Scanner, last: str
) -> None:
    p = pipe(kit, scanner, scanner.entities, "text/event-stream")
    events = [kit.chunk(kit.delta(reasoning_content=last)), kit.chunk(kit.delta(content="Yes. "))]
    told = kit.heard(p.feed(kit.sse(events, end=False)).release)
    assert told[0, "content"] == "Yes. "
    rest = p.feed(kit.sse([])).release
    assert rest.endswith(b"data: [DONE]\n\n")
    expected = kit.masked_text(last, scanner.scan(last), scanner.entities)
    assert (told | kit.heard(rest))[0, "reasoning_content"] == expected
