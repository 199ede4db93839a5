"""A scanner by a function that looks at whole texts only; a stream of one waits for its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from authz_service.masking.embedded import EmbeddedJsonStream
from authz_service.masking.finding import Finding, in_order, join_pieces
from authz_service.masking.seams import IncrementalScanner, Progress
from authz_service.masking.stream import check_held
from authz_service.masking.union import Union

Analyse = Callable[[str], Iterable[Finding]]
"""All findings of a plain text, in any order; they may overlap."""


class WholeTexts:
    """Implements `Scanner` for requests. A stream of it holds back all that it is fed, to its end."""

    def __init__(self, entities: frozenset[str], analyse: Analyse) -> None:
        self.entities = entities
        self._analyse = analyse

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`; raises what the function raises."""
        if embedded_json:
            stream = EmbeddedJsonStream(self)
            return join_pieces((step.findings, step.more) for step in (stream.feed(text), stream.finish()))
        found = sorted(self._analyse(text), key=in_order)
        return join_pieces([Union().take((finding, False) for finding in found)])

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """See `Scanner.incremental`."""
        return EmbeddedJsonStream(self) if embedded_json else _Whole(self)


class _Whole:
    """Implements `IncrementalScanner`."""

    def __init__(self, texts: WholeTexts) -> None:
        self._texts = texts
        self._pieces: list[str] = []
        self._length = 0

    def feed(self, text: str) -> Progress:
        """Nothing is settled before the end; raises `Unreadable` beyond what may be held back."""
        self._pieces.append(text)
        self._length += len(text)
        check_held(self._length)
        return Progress((), 0)

    def finish(self, text: str = "") -> Progress:
        """All findings at once."""
        whole = "".join((*self._pieces, text))
        return Progress(self._texts.scan(whole), len(whole))
