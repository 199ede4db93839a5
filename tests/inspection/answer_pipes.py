"""What tests of masked answers share: a pipe whose mask is easy to foresee, and events to feed it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.model_apis.openai_chat import OpenAiChat

MASKED = frozenset({"NUMBER", "BLOCK", "ADDRESS"})
SCRAPS = [
    "1234",
    "56",
    "a@b",
    "@",
    "s3cr3t",
    "s3c",
    "r3t",
    " ",
    "<<",
    "<",
    ">>",
    ">",
    "word ",
    "é😀",
    '"\\\n',
    "x",
]
texts = st.lists(st.sampled_from(SCRAPS), max_size=10).map("".join)
FIELDS = [(0, "content"), (1, "content"), (2, "reasoning_content")]


def pipe(kit: Any, *, content_type: str = "text/event-stream", **others: Any) -> AnswerPipe:
    return answer_pipe(
        **{
            "api": OpenAiChat(),
            "request": kit.request,
            "content_type": content_type,
            "scanner": kit.scanner(),
            "masked_entities": MASKED,
            "max_body": 100_000,
            "max_depth": 16,
            **others,
        }
    )


def cut(whole: Any, at: list[int]) -> list[Any]:
    bounds = [0, *sorted(min(a, len(whole)) for a in at), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


@st.composite
def told(draw: st.DrawFn) -> tuple[dict[tuple[int, str], str], list[tuple[int, str, str]]]:
    """Whole texts of three channels, and their deltas, interleaved."""
    wholes = {f: draw(texts) for f in FIELDS}
    deltas = {
        f: [(*f, piece) for piece in cut(whole, draw(st.lists(st.integers(0, 30), max_size=4)))]
        for f, whole in wholes.items()
    }
    order = draw(st.permutations([f for f, pieces in deltas.items() for _ in pieces]))
    queues: dict[tuple[int, str], Iterator[tuple[int, str, str]]] = {f: iter(p) for f, p in deltas.items()}
    return wholes, [next(queues[f]) for f in order]


def stream_of(kit: Any, deltas: list[tuple[int, str, str]], together: int = 1) -> bytes:
    chunks: list[dict[int, Any]] = [{}]  # of choices by their index, each of which an event has once
    for index, key, text in deltas:
        if index in chunks[-1] or len(chunks[-1]) == together:
            chunks.append({})
        chunks[-1][index] = kit.delta(index, **{key: text})
    return bytes(kit.sse([kit.chunk(*choices.values()) for choices in chunks if choices]))
