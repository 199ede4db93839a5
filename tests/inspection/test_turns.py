"""What holds, with our detectors, for any cut of a stream that turns between texts (docs/decisions/0002)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.openai_chat import OpenAiChat

SCANNER = build_scanner()
SCRAPS = (
    *(
        "jane.doe@example.com",
        "jane",
        "@exa",
        "4111 1111 1111 1111",
        "4111 11",
        "eyJhbGciOiJIUzI1NiJ9.",
        "AKIA",
    ),
    *("-----BEGIN RSA PRIVATE KEY-----\n", "MIIEabcd", "\n", "-----END RSA PRIVATE KEY-----", " and ", "so "),
    *("phone ", "212 555 0123", "x" * 700, "A" * 300, "ab%40", "\\u0040", "xoxb-", "http://u:p", "@h"),
)
said = st.tuples(st.booleans(), st.lists(st.sampled_from(SCRAPS), min_size=1, max_size=2).map("".join))
DONE = b"data: [DONE]\n\n"


def told(kit: Any, pieces: Sequence[bytes], masked: frozenset[str] = SCANNER.entities) -> list[bytes]:
    pipe = answer_pipe(
        api=OpenAiChat(),
        request=kit.request,
        content_type="text/event-stream",
        scanner=SCANNER,
        masked_entities=masked,
        max_body=1_000_000,
        max_depth=16,
    )
    stream: bytes = kit.run(pipe, pieces).data
    return [event + b"\n\n" for event in stream.split(b"\n\n")[:-1]]


def of(events: Sequence[bytes], key: str) -> list[bytes]:
    return [event for event in events if f'"{key}"'.encode() in event]


@settings(deadline=None, max_examples=150)
@given(st.lists(said, max_size=12), st.lists(st.integers(0, 9000), max_size=6))
def test_the_events_and_the_order_within_each_text_are_the_same_for_any_cut(
    kit: Any, story: list[tuple[bool, str]], at: list[int]
) -> None:
    documents = [
        kit.chunk(kit.delta(**{"reasoning_content" if aside else "content": text})) for aside, text in story
    ]
    finish = kit.chunk({"index": 0, "delta": {}, "finish_reason": "stop"})
    stream = bytes(kit.sse([*documents, finish]))
    bounds = [0, *sorted(min(place, len(stream)) for place in at), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(bounds)]
    one, other, unmasked = told(kit, [stream]), told(kit, pieces), told(kit, pieces, frozenset())
    for key in ("content", "reasoning_content"):
        assert of(one, key) == of(other, key)
        assert of(unmasked, key) == of([event + b"\n\n" for event in stream.split(b"\n\n")], key)
    assert sorted(one) == sorted(other)
    for events in (one, other):
        assert json.loads(events[-2][6:])["choices"][0]["finish_reason"] == "stop"
        assert events[-1] == DONE


@settings(deadline=None, max_examples=50)
@given(st.lists(said, max_size=12), st.lists(st.integers(0, 9000), max_size=6))
def test_without_a_turn_so_is_every_byte(kit: Any, story: list[tuple[bool, str]], at: list[int]) -> None:
    stream = bytes(kit.sse([kit.chunk(kit.delta(content=text)) for _, text in story]))
    bounds = [0, *sorted(min(place, len(stream)) for place in at), len(stream)]
    assert told(kit, [stream[a:b] for a, b in itertools.pairwise(bounds)]) == told(kit, [stream])
