"""What each worker of this machine is doing now, where the others can read it when it is dead.

A request that a worker died of is sent again by Envoy, to another one. Each worker has a file in memory that
all map: a mark for each exchange that it has, which outlives the process. A mark of another worker's on an
exchange that comes here means that it died with it. Whoever was just judging it is taken at that; whoever
only had it may have died of another, so twice is needed then; and who waits for people harms nobody.

Only the owner writes to a file, one mark at a time; a reader may see a mark as it was a moment ago.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType, coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

MARKS = 16_384  # exchanges at a time; above it those that come go without a mark
PAST = 4_096  # marks that dead processes left, the latest of them
_ID = 16
_SIZE = _ID + 1
_HEADER = 16
_PAST_AT = _HEADER + MARKS * _SIZE
_LENGTH = _PAST_AT + PAST * _SIZE
_EMPTY = bytes(_SIZE)


class Doing(Enum):
    """What an exchange's worker does for it."""

    HAS = b"h"
    JUDGES = b"j"
    WAITS = b"w"


class Marks:
    """The marks of worker `own` of `workers`, in files of `folder`; `close()` when done.

    Other marks of the same workers are in files with another `name`. What an earlier process of this worker
    left is kept as the past.
    """

    def __init__(self, folder: Path, own: int, workers: int, *, name: str = "marks") -> None:
        self._paths = [folder / f"{name}-{worker}" for worker in range(workers)]
        self._own = own
        self._maps: dict[int, mmap.mmap] = {}
        self._file = self._maps[own] = _mapped(self._paths[own], create=True)
        self._places: dict[str, int] = {}
        self._free: list[int] = []
        self._used = 0
        self._bury()

    def begin(self, exchange: str, doing: Doing = Doing.HAS) -> None:
        """This worker has it."""
        if self._free:
            place = self._free.pop()
        elif self._used < MARKS:
            place = self._used
            self._used += 1
            self._file[0:4] = self._used.to_bytes(4, "little")
        else:
            return
        self._places[exchange] = place
        at = _HEADER + place * _SIZE
        self._file[at : at + _SIZE] = _token(exchange) + doing.value

    def now(self, exchange: str, doing: Doing) -> None:
        """What it does for it from now on."""
        place = self._places.get(exchange)
        if place is not None:
            at = _HEADER + place * _SIZE + _ID
            self._file[at : at + 1] = doing.value

    def end(self, exchange: str) -> None:
        """It has it no more."""
        place = self._places.pop(exchange, None)
        if place is not None:
            at = _HEADER + place * _SIZE
            self._file[at : at + _SIZE] = _EMPTY
            self._free.append(place)

    @coroutine
    def judging(self, exchange: str, work: Coroutine[Any, Any, Result]) -> Generator[Any, Any, Result]:
        """The result of `work`, marked as judging while its own code runs, and as had while it waits.

        A worker that dies while it waits, for an answer from elsewhere or for its turn, died of another.
        """
        self.begin(exchange, Doing.JUDGES)
        step: Callable[[Any], Any] = work.send
        value = None
        try:
            while True:
                waited = step(value)
                self.now(exchange, Doing.HAS)
                try:
                    step, value = work.send, (yield waited)
                except BaseException as error:  # that it is cancelled too is for `work` to handle
                    step, value = work.throw, error
                self.now(exchange, Doing.JUDGES)
        except StopIteration as done:
            result: Result = done.value
            return result
        finally:
            self.end(exchange)

    def is_poison(self, exchange: str) -> bool:
        """Whether a worker died while it judged this, or two while they had it."""
        token = _token(exchange)
        left = [doing for worker in range(len(self._paths)) for doing in self._left(worker, token)]
        return Doing.JUDGES.value in left or left.count(Doing.HAS.value) > 1

    def others_are_busy(self) -> bool:
        """Whether any other worker has an exchange that does not wait for people."""
        for worker in range(len(self._paths)):
            mapped = None if worker == self._own else self._of(worker)
            if mapped is not None:
                used = min(_number(mapped, 0), MARKS)
                doing = mapped[_HEADER + _ID : _HEADER + used * _SIZE : _SIZE]
                if Doing.HAS.value in doing or Doing.JUDGES.value in doing:
                    return True
        return False

    def close(self) -> None:
        """Unmap all; the files stay."""
        for mapped in self._maps.values():
            mapped.close()

    def _left(self, worker: int, token: bytes) -> list[bytes]:
        """What a worker's marks say of one exchange: those of its past, and of now unless it is this one."""
        mapped = self._of(worker)
        if mapped is None:
            return []
        found = _all(mapped, token, _PAST_AT, _PAST_AT + min(_number(mapped, 4), PAST) * _SIZE)
        if worker != self._own:
            found += _all(mapped, token, _HEADER, _HEADER + min(_number(mapped, 0), MARKS) * _SIZE)
        return found

    def _of(self, worker: int) -> mmap.mmap | None:
        """A worker's file; None where it has not started yet."""
        mapped = self._maps.get(worker)
        if mapped is None and self._paths[worker].exists():
            mapped = self._maps[worker] = _mapped(self._paths[worker], create=False)
        return mapped

    def _bury(self) -> None:
        """Take what an earlier process had into the past, and begin with nothing.

        Not who waited, for whom nobody asks. What was being judged comes last: that is kept longest, and
        more exchanges than the past has room for may have been under way.
        """
        used = min(_number(self._file, 0), MARKS)
        for doing in (Doing.HAS, Doing.JUDGES):
            for at in range(_HEADER, _HEADER + used * _SIZE, _SIZE):
                if self._file[at + _ID : at + _SIZE] == doing.value:
                    past = _number(self._file, 4)
                    to = _PAST_AT + (past % PAST) * _SIZE
                    self._file[to : to + _SIZE] = self._file[at : at + _SIZE]
                    self._file[4:8] = (past + 1).to_bytes(4, "little")
                    self._file[at : at + _SIZE] = _EMPTY
        self._file[_HEADER : _HEADER + used * _SIZE] = bytes(used * _SIZE)
        self._file[0:4] = bytes(4)


@dataclass(frozen=True, slots=True)
class Judging:
    """Within this context an exchange that `marks` has is being judged; after it, it is only had."""

    marks: Marks
    exchange: str

    def __enter__(self) -> None:
        self.marks.now(self.exchange, Doing.JUDGES)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.marks.now(self.exchange, Doing.HAS)


def _token(exchange: str) -> bytes:
    """The end of its name, which is random."""
    return exchange[-_ID:].rjust(_ID).encode("ascii", "replace")


def _number(mapped: mmap.mmap, at: int) -> int:
    return int.from_bytes(mapped[at : at + 4], "little")


def _all(mapped: mmap.mmap, token: bytes, start: int, end: int) -> list[bytes]:
    found = []
    while (at := mapped.find(token, start, end)) >= 0:
        found.append(mapped[at + _ID : at + _SIZE])
        start = at + _SIZE
    return found


def _mapped(path: Path, *, create: bool) -> mmap.mmap:
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if os.fstat(descriptor).st_size < _LENGTH:
            os.ftruncate(descriptor, _LENGTH)
        return mmap.mmap(descriptor, _LENGTH)
    finally:
        os.close(descriptor)
