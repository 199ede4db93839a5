"""A channel settles its pieces in order, whatever happens on others."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from authz_service.inspection.across import Across
from authz_service.inspection.channel import Channel
from authz_service.inspection.pieces import HeldFrame
from authz_service.inspection.tally import Tally
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

    def finish(self, text: str = "") -> Progress:
        self.text += text
        return Progress(self.scan(self.text), len(self.text))


class Told:
    """A channel, and the frames that it was fed."""

    def __init__(self, scanner: Settling, kind: TextKind = TextKind.PLAIN) -> None:
        self.found = Tally()
        self.channel = Channel(
            scanner, kind, scanner.entities, found=self.found, masked=Tally(), across=Across()
        )
        self.frames: list[HeldFrame] = []
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.frames.append(HeldFrame(b"", b"", bytes))
        self.texts.append(text)
        self.channel.feed(text, ("t",), self.frames[-1])
        self.channel.read()

    @property
    def released(self) -> list[str | None]:
        pairs = zip(self.frames, self.texts, strict=True)
        return [f.edits.get(("t",), text) for f, text in pairs if not f.open]


def test_a_pause_settles_nothing_and_lets_others_pass() -> None:
    told = Told(Settling(r"\d{4}", 2))
    told.say("a ")
    told.say("12")
    told.channel.pause()
    assert told.released == ["a "]
    assert [frame.may_be_overtaken for frame in told.frames] == [False, True]
    told.say("34")
    told.channel.finish()
    assert told.released == ["a ", "[X]", ""]


def test_a_scanner_that_finds_something_in_settled_text_is_our_fault_and_loud() -> None:
    told = Told(Settling(r"\d{4}", 3))
    told.say("1234 ")
    with pytest.raises(RuntimeError):
        told.channel.finish()
