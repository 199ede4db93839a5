"""What the rest of the service asks of the masker."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from authz_service.masking.finding import Finding


class Progress(NamedTuple):
    """What a piece of text settled. Offsets count characters from the start of the channel.

    `findings` are new and final, in order, and all begin before `settled`; no later finding does. One
    may end after it: its text need not be waited for. A finding without a known end yet (a PEM block
    that goes on) comes in pieces, each beginning where the one before it ended or earlier.
    """

    findings: tuple[Finding, ...]
    settled: int
    more: frozenset[int] = frozenset()
    """Indexes into `findings` of pieces that continue the last finding of the same entity type."""


class IncrementalScanner(Protocol):
    """An incremental codec over one text channel: any cut gives the findings of the whole."""

    def feed(self, text: str) -> Progress:
        """Take the next piece; raises `Unreadable` when more is held back than may be."""
        ...

    def finish(self, text: str = "") -> Progress:
        """The text is complete with this last piece; `settled` is then its length."""
        ...


class Scanner(Protocol):
    """A compiled set of detectors."""

    entities: frozenset[str]

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """All findings of a whole text, in order of their start; detectors may overlap.

        With `embedded_json` the text is a JSON document in a string (a tool call's arguments):
        findings are looked for in its decoded strings and numbers, spans are those of the text.
        """
        ...

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """A scanner for one channel of a stream, of the same findings as `scan` of the whole."""
        ...
