"""A channel that pauses is released as if it ended there, and never more than once."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from authz_service.errors import Unreadable
from authz_service.inspection.channel import Channel, HeldFrame
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Progress
from authz_service.view.request import TextKind


@dataclass
class Settling:
    """Finds `pattern`; of a text that goes on, the first `settled` characters are settled."""

    pattern: str
    settled: int
    text: str = ""
    entities = frozenset({"X"})

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        return tuple(Finding("X", m.start(), m.end()) for m in re.finditer(self.pattern, text))

    def incremental(self, *, embedded_json: bool = False) -> Settling:
        return self

    def feed(self, text: str) -> Progress:
        self.text += text
        return Progress((), min(self.settled, len(self.text)))

    def finish(self) -> Progress:
        return Progress(self.scan(self.text), len(self.text))


class Told:
    """A channel, and the frames that it was fed."""

    def __init__(self, scanner: Settling, kind: TextKind = TextKind.PLAIN) -> None:
        self.found: Counter[str] = Counter()
        self.channel = Channel(scanner, kind, scanner.entities, found=self.found, masked=Counter())
        self.frames: list[HeldFrame] = []
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.frames.append(HeldFrame(b"", b"", bytes))
        self.texts.append(text)
        self.channel.feed(text, ("t",), self.frames[-1])

    @property
    def released(self) -> list[str | None]:
        pairs = zip(self.frames, self.texts, strict=True)
        return [f.edits.get(("t",), text) for f, text in pairs if not f.open]


def test_a_channel_is_released_once_however_often_it_pauses() -> None:
    told = Told(Settling(r"\d{4}", 0))
    told.say("1")
    told.channel.pause()
    assert told.released == ["1"]
    told.say("2")
    told.channel.pause()
    assert told.released == ["1"]


@pytest.mark.parametrize(
    ("pattern", "pieces", "settled", "released"),
    [
        (r"(?<=#)\d+", ["a #", "12"], 3, ["a #", "[X]"]),
        (r"(?<=#)\d+", ["a #12"], 3, ["a #[X]"]),
        (r"\d\d", ["7", "12 "], 1, ["7", "[X] "]),
        (r"\d\d", ["712 "], 1, ["7[X] "]),
    ],
)
def test_what_is_held_at_a_pause_is_judged_with_what_stands_before_it_and_without(
    pattern: str, pieces: list[str], settled: int, released: list[str]
) -> None:
    told = Told(Settling(pattern, settled))
    for piece in pieces:
        told.say(piece)
    told.channel.pause()
    assert told.released == released


def test_a_finding_that_reaches_back_over_a_pause_ends_the_answer() -> None:
    told = Told(Settling(r"\d{4}", 0))
    told.say("a 12")
    told.channel.pause()
    told.say("34")
    with pytest.raises(Unreadable) as refused:
        told.channel.finish()
    assert refused.value.code == "unmaskable"


def test_json_in_a_string_is_not_released_before_it_is_settled() -> None:
    told = Told(Settling(r"\d{4}", 0), TextKind.JSON)
    told.say('{"a":12')
    told.channel.pause()
    assert told.released == []


def test_a_scanner_that_finds_something_in_settled_text_is_our_fault_and_loud() -> None:
    told = Told(Settling(r"\d{4}", 3))
    told.say("1234 ")
    with pytest.raises(RuntimeError):
        told.channel.finish()
