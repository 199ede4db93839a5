"""A compiled set of detectors: finds all values in a whole text, and opens streams for channels."""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.masking import characters
from authz_service.masking.embedded import EmbeddedJsonStream
from authz_service.masking.engine import Gate, compile_prefixes
from authz_service.masking.finding import Finding, in_order, join_pieces
from authz_service.masking.seams import IncrementalScanner
from authz_service.masking.steps import Detector
from authz_service.masking.stream import PlainStream


class DetectorScanner:
    """Implements `Scanner`. It keeps nothing between calls, so threads and channels share one."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.entities = frozenset(detector.entity for detector in detectors)
        self.detectors = tuple(detectors)
        self._gate = Gate([detector.sign for detector in detectors])
        self._live = compile_prefixes("|".join(f"(?:{detector.prefixes})" for detector in detectors) or r"\z")

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`. Findings come by start, then entity, then end."""
        if embedded_json:
            stream = self.incremental(embedded_json=True)
            return join_pieces((step.findings, step.more) for step in (stream.feed(text), stream.finish()))
        window = characters.encode(text)
        found = [
            (detector.entity, span)
            for index in self.hits(window)
            for detector in (self.detectors[index],)
            for span in detector.step(window, 0, is_last=True).spans
        ]
        if not found:
            return ()
        at = characters.offsets(window, (place for _, span in found for place in (span.start, span.end)))
        return tuple(
            sorted((Finding(entity, at[span.start], at[span.end]) for entity, span in found), key=in_order)
        )

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """See `Scanner.incremental`."""
        return EmbeddedJsonStream(self) if embedded_json else PlainStream(self)

    def hits(self, window: bytes) -> frozenset[int]:
        """Indexes of the detectors whose pattern occurs."""
        return self._gate.hits(window)

    def live(self, window: bytes, at: int) -> int:
        """The least of all detectors' `live`, in one search."""
        match = self._live.search(window, at)
        return len(window) if match is None else match.start()
