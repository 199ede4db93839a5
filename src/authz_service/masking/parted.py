"""One channel whose text comes in parts, which some readers join and others don't.

What is found in each part is found, and what is found in the parts joined: whoever shows a message joins
the blocks that follow each other, so half a key at the end of one and half at the beginning of the next is a
key. The joined text is looked at from the first border on; before, it is the first part.
"""

from __future__ import annotations

from copy import deepcopy

from authz_service.masking.finding import Finding
from authz_service.masking.seams import IncrementalScanner, Progress, Scanner
from authz_service.masking.stream import check_held
from authz_service.masking.union import Union


class PartedStream:
    """Implements `IncrementalScanner`, and takes the ends of parts.

    At a border what may go on in the next part waits for it.
    """

    def __init__(self, scanner: Scanner, first: IncrementalScanner, *, length: int, settled: int) -> None:
        """`first` has read a part of `length` characters that ends here, and settled so many."""
        self._scanner = scanner
        self._joined = deepcopy(first, {id(scanner): scanner})
        self._part = first
        self._begin = 0  # of the part
        self._length = length
        self._part_settled = self._joined_settled = settled
        self._pending: list[tuple[Finding, bool]] = []
        self._union = Union()

    def next_part(self) -> Progress:
        """The part is over, and another begins."""
        self._take_part(self._part.finish())
        self._part = self._scanner.incremental()
        self._begin = self._part_settled = self._length
        return self._progress()

    def feed(self, text: str) -> Progress:
        """See `IncrementalScanner.feed`."""
        self._length += len(text)
        self._take_part(self._part.feed(text))
        self._take_joined(self._joined.feed(text))
        return self._progress()

    def finish(self, text: str = "") -> Progress:
        """See `IncrementalScanner.finish`."""
        self._length += len(text)
        self._take_part(self._part.finish(text))
        self._take_joined(self._joined.finish(text))
        return self._progress()

    def _take_part(self, progress: Progress) -> None:
        for i, found in enumerate(progress.findings):
            moved = Finding(
                found.entity,
                found.start + self._begin,
                found.end + self._begin,
                bare=found.bare,
                value=found.value,
            )
            self._pending.append((moved, i in progress.more))
        self._part_settled = self._begin + progress.settled

    def _take_joined(self, progress: Progress) -> None:
        self._pending += [(found, i in progress.more) for i, found in enumerate(progress.findings)]
        self._joined_settled = progress.settled

    def _progress(self) -> Progress:
        settled = min(self._part_settled, self._joined_settled)
        check_held(self._length - settled)
        self._pending.sort(key=_in_order)
        ready = [pending for pending in self._pending if pending[0].start < settled]
        self._pending = self._pending[len(ready) :]
        findings, more = self._union.take(ready)
        return Progress(findings, settled, more)


def _in_order(pending: tuple[Finding, bool]) -> tuple[int, str, bool, int]:
    """By start; what goes on comes before what begins there, and so takes it in."""
    found, continues = pending
    return found.start, found.entity, not continues, found.end
