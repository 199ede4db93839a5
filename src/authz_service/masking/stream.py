"""One channel of plain text that arrives in pieces: the findings of the whole, for any cut."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import NamedTuple, Protocol

from authz_service.errors import Unreadable
from authz_service.masking import characters
from authz_service.masking.characters import LOOKBACK
from authz_service.masking.finding import Finding, in_order
from authz_service.masking.seams import Progress
from authz_service.masking.steps import Detector, Step

MOST_HELD = 64 * 1024
"""Characters that one channel may hold back."""

_SEEN = 4 * LOOKBACK

_SHORT = 1024
"""Bytes held back up to which every piece is looked at at once."""


def check_held(characters: int) -> None:
    """Refuse to hold back more than `MOST_HELD` characters of a channel."""
    if characters > MOST_HELD:
        message = f"More than {MOST_HELD} characters could still become one sensitive value."
        raise Unreadable(message, code="buffer_overflow")


class Detectors(Protocol):
    """What a stream needs of the set that it belongs to."""

    detectors: tuple[Detector, ...]
    lookback: int

    def hits(self, window: bytes) -> list[int]: ...
    def live(self, window: bytes, at: int, apart: Set[int]) -> int: ...


class _Track(NamedTuple):
    """Where a detector goes on, in bytes of the channel, when that is not where the stream does.

    `reported` is how far the spans of an open region reach.
    """

    at: int
    is_inside: bool = False
    reported: int = 0


class PlainStream:
    """Implements `IncrementalScanner`. Findings come in the order of `Scanner.scan`.

    The window is what has not settled, and before it what detectors look back at. A finding is reported
    when nothing that begins before it can be found any more.
    """

    def __init__(self, detectors: Detectors) -> None:
        self._set = detectors
        self._window = b""
        self._origin = 0  # of the window, in bytes of the channel
        self._origin_characters = 0
        self._begin = 0  # of what has not settled, in the window
        self._arrived: list[bytes] = []  # since the last look
        self._to_arrive = 0  # bytes until the next look
        self._length = 0  # characters
        self._settled = 0  # characters
        self._tracks: dict[int, _Track] = {}
        self._pending: list[tuple[Finding, bool]] = []

    def feed(self, text: str) -> Progress:
        """See `IncrementalScanner.feed`; `Unreadable` with code `buffer_overflow` beyond `MOST_HELD`."""
        self._take_in(text)
        # A long tail is looked at when it has grown by an eighth: an attacker who keeps it alive with
        # pieces of one character would otherwise have all of it searched for each.
        is_over = self._length - self._settled > MOST_HELD
        if self._to_arrive <= 0 or is_over:
            self._look(is_last=False)
        check_held(self._length - self._settled)
        return self._progress()

    def finish(self, text: str = "") -> Progress:
        """See `IncrementalScanner.finish`."""
        self._take_in(text)
        self._look(is_last=True)
        return self._progress()

    @property
    def length(self) -> int:
        """Characters that it has been fed."""
        return self._length

    def fork(self, shift: int) -> PlainStream:
        """A stream that has read the same, and counts its characters from `shift` before."""
        other = PlainStream(self._set)
        other._window, other._origin, other._begin = self._window, self._origin, self._begin
        other._arrived, other._to_arrive = list(self._arrived), self._to_arrive
        other._origin_characters = self._origin_characters + shift
        other._length, other._settled = self._length + shift, self._settled + shift
        other._tracks = dict(self._tracks)
        for finding, continues in self._pending:
            moved = replace(finding, start=finding.start + shift, end=finding.end + shift)
            other._pending.append((moved, continues))
        return other

    def is_like(self, other: PlainStream) -> bool:
        """Whether both will find the same in whatever follows, and have nothing else to report."""
        mine, others = (self._window, self._begin), (other._window, other._begin)
        if mine != others or self._arrived or other._arrived or self._pending or other._pending:
            return False
        return self._to_arrive == other._to_arrive and not self._tracks and not other._tracks

    def _take_in(self, text: str) -> None:
        data = characters.encode(text)
        self._arrived.append(data)
        self._to_arrive -= len(data)
        self._length += len(text)

    def _look(self, *, is_last: bool) -> None:
        self._window = b"".join((self._window, *self._arrived))
        self._arrived.clear()
        # What stands before is searched only as far as `\b` and `^` look.
        hits = self._set.hits(self._window[self._begin - _SEEN :] if self._begin > _SEEN else self._window)
        stepped = {*hits, *self._tracks}
        settled = keep = len(self._window) if is_last else self._set.live(self._window, self._begin, stepped)
        if stepped:
            settled, keep = self._steps(stepped, settled, is_last=is_last)
        self._trim(settled=settled, keep=keep)

    def _steps(self, indexes: set[int], live: int, *, is_last: bool) -> tuple[int, int]:
        """Step each detector by itself: those that hit, and those that are past the others."""
        settled = keep = live
        for index in sorted(indexes):
            track = self._tracks.pop(index, None)
            at = self._begin if track is None else max(self._begin, track.at - self._origin)
            is_inside = track is not None and track.is_inside
            step = self._set.detectors[index].step(self._window, at, is_last=is_last, is_inside=is_inside)
            settled, keep = min(settled, step.settled), min(keep, step.keep)
            self._take(step, track)
            reported = self._origin + len(self._window) if step.is_inside else 0
            self._tracks[index] = _Track(self._origin + step.at, step.is_inside, reported)
        return settled, keep

    def _take(self, step: Step, track: _Track | None) -> None:
        if not step.spans:
            return
        spans = list(step.spans)
        if spans[0].continues and track is not None:
            spans[0] = spans[0]._replace(start=track.reported - self._origin)
        spans = [span for span in spans if span.start < span.end]
        at = characters.offsets(self._window, [place for s in spans for place in s[:2]])
        base = self._origin_characters
        for span in spans:
            start, end = base + at[span.start], base + at[span.end]
            self._pending.append(
                (Finding(span.entity, start, end, value=span.value.decode()), span.continues)
            )

    def _trim(self, *, settled: int, keep: int) -> None:
        window = self._window
        self._settled = self._length - characters.count(window[settled:])
        cut = characters.back(window, keep, self._set.lookback)
        self._begin = keep - cut
        self._origin += cut
        self._origin_characters += characters.count(window[:cut])
        self._window = window[cut:]
        held = len(window) - keep
        self._to_arrive = held // 8 if held > _SHORT else 0
        if self._tracks:
            begin, tracks = self._origin + self._begin, self._tracks.items()
            self._tracks = {i: track for i, track in tracks if track.is_inside or track.at > begin}

    def _progress(self) -> Progress:
        if not self._pending:
            return Progress((), self._settled)
        self._pending.sort(key=lambda pending: in_order(pending[0]))
        ready = [pending for pending in self._pending if pending[0].start < self._settled]
        self._pending = self._pending[len(ready) :]
        return Progress(
            tuple(finding for finding, _ in ready),
            self._settled,
            frozenset(index for index, (_, continues) in enumerate(ready) if continues),
        )
