"""A compiled set of detectors: finds all values in a whole text, and opens streams for channels."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import suppress
from functools import partial
from itertools import accumulate, pairwise

from authz_service.errors import Unreadable
from authz_service.masking import characters
from authz_service.masking.base64_detector import LAYERS, Base64Detector
from authz_service.masking.characters import LOOKBACK
from authz_service.masking.clean_texts import CleanTexts, digest_of
from authz_service.masking.embedded import EmbeddedJsonStream
from authz_service.masking.engine import Prefixes
from authz_service.masking.family import Family, Live, families_of
from authz_service.masking.finding import Finding, in_order, join_pieces
from authz_service.masking.seams import IncrementalScanner
from authz_service.masking.steps import Detector, Span
from authz_service.masking.union import Union
from authz_service.masking.viewed import ViewedStream
from authz_service.masking.views import View, moved, shows_itself, views

_PIECE = 4096
_LARGE = 4 * _PIECE
"""Characters of a text whose views are looked at where they differ."""


class DetectorScanner:
    """Implements `Scanner`; threads and channels share one. It keeps digests of texts without a finding."""

    def __init__(self, detectors: Sequence[Detector], families: Sequence[Family] | None = None) -> None:
        """`families` are those of the detectors, where they have been built before."""
        self.entities = frozenset(entity for detector in detectors for entity in detector.entities)
        self.detectors = tuple(detectors)
        self.lookback = max((detector.lookback for detector in detectors), default=LOOKBACK)
        self._families = families_of(detectors) if families is None else tuple(families)
        self._gates = tuple((f.gate.match, f.gate.closed, f.named) for f in self._families)
        self._lives = _lives(self._families)
        self._clean, self._clean_json = CleanTexts(), CleanTexts()

    def with_base64(self) -> DetectorScanner:
        """One that finds the same in base64 too, and in base64 within that."""
        scanner = self
        for _ in range(LAYERS):
            encoded = Base64Detector(scanner)
            family = Family([(len(self.detectors), encoded)])
            scanner = DetectorScanner([*self.detectors, encoded], [*self._families, family])
        return scanner

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        """See `Scanner.scan`. Findings come by start, then entity, then end."""
        clean, digest = self._clean_json if embedded_json else self._clean, digest_of(text)
        if clean.has(digest):
            return ()
        found = self._scan(text, embedded_json=embedded_json)
        if not found:
            clean.add(digest)
        return found

    def _scan(self, text: str, *, embedded_json: bool) -> tuple[Finding, ...]:
        if embedded_json:
            stream = self.incremental(embedded_json=True)
            return join_pieces((step.findings, step.more) for step in (stream.feed(text), stream.finish()))
        if shows_itself(text):
            found = self._plain(text)
        else:
            through = views()
            shown = list(accumulate(through, _shown, initial=text))
            if len(text) > _LARGE and any(seen != text for seen in shown):
                with suppress(Unreadable):  # more would be held back than a stream may: nothing is here
                    return self._in_pieces(text)
            found = self._plain(text)
            for index, (below, seen) in enumerate(pairwise(shown)):
                if seen != below:
                    found += [moved(finding, *through[index::-1]) for finding in self._plain(seen)]
        if not found:
            return ()
        return join_pieces([Union().take((finding, False) for finding in sorted(found, key=in_order))])

    def _in_pieces(self, text: str) -> tuple[Finding, ...]:
        """A view that differs in a few places is looked at around these only, as in a stream."""
        stream = self.incremental()
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        return join_pieces(
            (step.findings, step.more) for step in (*map(stream.feed, pieces), stream.finish())
        )

    def _plain(self, text: str) -> list[Finding]:
        window = characters.encode(text)
        found = self.spans(window)
        if not found:
            return []
        at = characters.offsets(window, (place for span in found for place in span[:2]))
        return [Finding(s.entity, at[s.start], at[s.end], value=s.value.decode()) for s in found]

    def spans(self, window: bytes) -> list[Span]:
        """What is found in a whole text, in no order."""
        return [
            span
            for index in self.hits(window)
            for span in self.detectors[index].step(window, 0, is_last=True).spans
        ]

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        """See `Scanner.incremental`."""
        return EmbeddedJsonStream(self) if embedded_json else ViewedStream(self)

    def hits(self, window: bytes) -> list[int]:
        """Indexes of the detectors whose pattern occurs."""
        found: list[int] = []
        for match, closed, named in self._gates:
            answer = match(window)
            if answer != closed:
                found += named(answer)
        return found

    def live(self, window: bytes, at: int, apart: Set[int] = frozenset()) -> int:
        """Where the first value could begin, at or after `at`, that the next text completes.

        The detectors of `apart` are left out. It may be less where values begin with something telling.
        """
        live = len(window)
        for ask in map(partial(Family.without, apart=apart), self._families) if apart else self._lives:
            least = ask(window, at)
            if least <= at:
                return at
            if least < live:
                live = least
        return live


def _lives(families: Sequence[Family]) -> tuple[Live, ...]:
    """How families are asked when none of their detectors is left out, those that ask RE2 alone together."""
    alone = [family.alone.live for family in families if family.alone is not None]
    together = Prefixes([family.prefixes for family in families if family.alone is None])
    return (*alone[:1], together.first, *alone[1:])


def _shown(text: str, view: View) -> str:
    return view.feed(text) + view.finish()
