"""A scanner whose findings are easy to foresee, and the text that masking must leave."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from authz_service.inspection.results import AnswerPipe
from authz_service.masking.finding import Finding
from authz_service.masking.seams import IncrementalScanner, Progress
from authz_service.view.request import RequestView

WORDS = {
    "NUMBER": re.compile(r"\d{4,}"),
    "SECRET": re.compile(r"s3cr3t"),
    "ADDRESS": re.compile(r"[a-z0-9]+@[a-z0-9]+"),
}
BLOCK = re.compile(r"<<.*?(>>|\Z)", re.DOTALL)
"""A region: it runs to its end mark or, failing that, to the end of the text."""


class WordScanner:
    """Findings have no spaces, but for blocks; so a text is settled up to its last word."""

    entities = frozenset({*WORDS, "BLOCK"})

    def __init__(self, *, too_early: int = 0) -> None:
        self.too_early = too_early

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        found = [Finding("BLOCK", m.start(), m.end()) for m in BLOCK.finditer(text)]
        for entity, pattern in WORDS.items():
            found += [Finding(entity, m.start(), m.end()) for m in pattern.finditer(text)]
        return tuple(sorted(found, key=lambda f: f.start))

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        return WordByWord(self)


@dataclass(slots=True)
class WordByWord:
    scanner: WordScanner
    text: str = ""
    reported: dict[tuple[str, int], int] = field(default_factory=dict)

    def feed(self, text: str) -> Progress:
        self.text += text
        settled = self.text.rfind(" ") + 1
        return self.progress(min(settled + self.scanner.too_early, len(self.text)))

    def finish(self, text: str = "") -> Progress:
        self.text += text
        return self.progress(len(self.text))

    def progress(self, settled: int) -> Progress:
        new: list[Finding] = []
        more: set[int] = set()
        for f in self.scanner.scan(self.text[:settled]):
            known_end = self.reported.get((f.entity, f.start))
            if known_end == f.end:
                continue
            if known_end is not None:
                more.add(len(new))
            new.append(f if known_end is None else Finding(f.entity, known_end, f.end))
            self.reported[f.entity, f.start] = f.end
        return Progress(tuple(new), settled, frozenset(more))


def masked_text(text: str, findings: Iterable[Finding], entities: frozenset[str]) -> str:
    """The masking of a whole text, said as simply as possible: character by character."""
    chosen = sorted((f for f in findings if f.entity in entities), key=lambda f: (f.start, f.entity))
    out: list[str] = []
    end = at = 0
    for at, character in enumerate(text):
        starting = [f for f in chosen if f.start == at]
        if starting and at >= end:
            out.append(f"[{starting[0].entity}]")
        end = max([end, *(f.end for f in starting)])
        if at >= end:
            out.append(character)
    return "".join(out)


def chunk(*choices: dict[str, Any], **others: Any) -> dict[str, Any]:
    """One event's document of a streamed chat completion."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "llama"}
    return {**head, "choices": list(choices), **others}


def delta(index: int = 0, **said: Any) -> dict[str, Any]:
    """One choice of an event."""
    return {"index": index, "delta": said, "finish_reason": None}


def sse(documents: Sequence[Any], *, end: bool = True) -> bytes:
    """Events, and the one that ends the stream."""
    events = "".join(f"data: {json.dumps(d, separators=(',', ':'))}\n\n" for d in documents)
    return (events + "data: [DONE]\n\n" * end).encode()


def heard(stream: bytes) -> dict[tuple[int, str], str]:
    """What a client understands: the text of each choice and field, joined."""
    texts: dict[tuple[int, str], str] = {}
    for event in stream.decode().split("\n\n"):
        data = event.removeprefix("data: ")
        if data and data != "[DONE]":
            for choice in json.loads(data)["choices"]:
                for key, text in choice["delta"].items():
                    if isinstance(text, str) and key != "role":
                        texts[choice["index"], key] = texts.get((choice["index"], key), "") + text
    return texts


@dataclass(slots=True)
class Released:
    """All that a pipe gave for one answer."""

    data: bytes
    found: dict[str, int]
    masked: dict[str, int]


def run(pipe: AnswerPipe, pieces: Iterable[bytes]) -> Released:
    """Feed the pieces, and finish."""
    total = Released(b"", {}, {})
    steps = [pipe.feed(piece) for piece in pieces]
    for step in (*steps, pipe.finish()):
        total.data += step.release
        for counts, more in ((total.found, step.found), (total.masked, step.masked)):
            for entity, n in more.items():
                counts[entity] = counts.get(entity, 0) + n
    return total


@dataclass(frozen=True, slots=True, repr=False)
class Kit:
    """The helpers of this file, for tests to take as one fixture."""

    scanner: Callable[..., WordScanner] = WordScanner
    masked_text: Callable[..., str] = masked_text
    chunk: Callable[..., dict[str, Any]] = chunk
    delta: Callable[..., dict[str, Any]] = delta
    sse: Callable[..., bytes] = sse
    heard: Callable[[bytes], dict[tuple[int, str], str]] = heard
    run: Callable[..., Released] = run
    request: RequestView = field(
        default_factory=lambda: RequestView("openai_chat", "chat_completions", "llama", True, ())
    )


@pytest.fixture(scope="session")
def kit() -> Kit:
    """All of it."""
    return Kit()
