"""The one that writes: a thread with one connection, which commits what is waiting as one group.

While a group is being committed the next one gathers. After a group of several the thread leaves the
interpreter to their event loop for a moment, so that they ask again together; who is alone waits for
nothing. A unit that fails does not spoil its group: the group is rolled back and each unit is run
alone. Whoever waits is answered after COMMIT, or is told `Unavailable` when nothing was committed, or
nobody knew in time what was.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from authz_service.core.durations import Durations
from authz_service.errors import AuthzError, Unavailable
from authz_service.store.batch import Answer, Committer, Failed, Work
from authz_service.store.faults import unavailable
from authz_service.store.transaction import Transaction
from authz_service.store.waits import Wait, Waits

Result = TypeVar("Result")

GATHERING_SECONDS = 0.0002  # with 16 exchanges on a busy loop, groups of eight instead of three


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """The bounds of the queue, of one transaction, and of a wait in seconds.

    `group_bytes` bounds what is written with the oldest unit, however large that is: everybody in a group
    waits for all of it, and 8 MiB take tens of milliseconds.
    """

    queued_units: int = 8192
    queued_bytes: int = 256 * 1024 * 1024
    group_units: int = 256
    group_bytes: int = 4 * 1024 * 1024
    patience: float = 5.0


@dataclass(slots=True)
class Commits:
    """How long groups took to commit. Counted in one thread."""

    took: Durations = field(default_factory=Durations)
    units: int = 0

    def add(self, seconds: float, units: int) -> None:
        """One group of so many units."""
        self.took.add(seconds)
        self.units += units


class _Unit(NamedTuple):
    work: Work[Any]
    size: int
    wait: Wait
    waits: Waits

    def attempt(self, transaction: Transaction) -> Any:
        """Do the work, unless nobody waits for it any more: the transaction may have waited for a lock."""
        if not self.wait.is_wanted():
            raise unavailable()
        return self.work(transaction)


class Writer:
    """Runs units of work from any event loop of this process, one after another.

    They come in the order in which they were started, but that a large one may be passed by smaller ones:
    whoever needs one behind another waits for that first.
    """

    def __init__(self, committer: Committer, limits: WriterLimits) -> None:
        self._committer = committer
        self._limits = limits
        self.commits = Commits()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._is_asleep = False
        self._waits: dict[asyncio.AbstractEventLoop, Waits] = {}
        self._queue: deque[_Unit] = deque()
        self._waiting_bytes = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Units that wait for their group."""
        return len(self._queue)

    def start(self, work: Work[Result], *, size: int = 0) -> asyncio.Future[Result]:
        """Have `work` run in a transaction; the future has its result once committed. `size` in bytes.

        An `AuthzError` that `work` raises before it changed anything is its answer, and `Unavailable`
        when the queue is full, the wait too long, or the store closed. What is cancelled before its turn
        is not recorded.
        """
        loop = asyncio.get_running_loop()
        waits = self._waits.get(loop) or self._waits_of(loop)
        wait = waits.begin()
        try:
            self._enqueue(_Unit(work, size, wait, waits))
        except Unavailable as error:
            wait.future.set_exception(error)
        return wait.future

    async def run(self, work: Work[Result], *, size: int = 0) -> Result:
        """As `start`, to its end: whoever is cancelled while waiting for it cancels it."""
        return await self.start(work, size=size)

    async def close(self) -> None:
        """Commit what is waiting, then refuse everything."""
        with self._lock:
            self._is_closed = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, 2 * self._limits.patience)

    def _waits_of(self, loop: asyncio.AbstractEventLoop) -> Waits:
        with self._lock:
            for ended in [known for known in self._waits if known.is_closed()]:
                del self._waits[ended]
            return self._waits.setdefault(loop, Waits(loop, patience=self._limits.patience))

    def _enqueue(self, unit: _Unit) -> None:
        limits = self._limits
        with self._lock:
            if self._is_closed:
                raise Unavailable("the record store is closed; nothing was released", code="store_closed")
            is_full = len(self._queue) >= limits.queued_units
            # One unit may be larger than the whole budget: alone in the queue it is let in.
            if is_full or (self._queue and self._waiting_bytes + unit.size > limits.queued_bytes):
                raise Unavailable(
                    "the record store has too much waiting; try again shortly", code="store_busy"
                )
            self._queue.append(unit)
            self._waiting_bytes += unit.size
            if self._is_asleep:
                self._wake.notify()

    def _run(self) -> None:
        while group := self._next_group():
            began = time.perf_counter()
            try:
                answers = self._committer.commit_all(
                    [unit.attempt for unit in group], [unit.wait.give_up_at for unit in group]
                )
            except BaseException as error:
                # This thread must outlive any single fault.
                self._committer.disconnect()
                answers = [Failed(_as_unavailable(error)) for _ in group]
            self.commits.add(time.perf_counter() - began, len(group))
            _deliver(group, answers)
            if len(group) > 1:
                time.sleep(GATHERING_SECONDS)
        self._committer.disconnect()

    def _next_group(self) -> list[_Unit]:
        """The units to commit next, at least one; none when closed and all is done."""
        with self._lock:
            while True:
                group = self._taken()
                if group or (self._is_closed and not self._queue):
                    return group
                if not self._queue:
                    self._is_asleep = True
                    self._wake.wait()
                    self._is_asleep = False

    def _taken(self) -> list[_Unit]:
        """The oldest unit that somebody waits for, with what fits into a group of those behind it.

        So a small one waits for one large one, or two, however many of them came before it.
        """
        limits = self._limits
        group: list[_Unit] = []
        passed: list[_Unit] = []
        behind = 0
        while self._queue and len(group) < limits.group_units:
            unit = self._queue.popleft()
            if group and behind + unit.size > limits.group_bytes:
                passed.append(unit)
                continue
            self._waiting_bytes -= unit.size
            if unit.wait.is_wanted():
                behind += unit.size if group else 0
                group.append(unit)
        self._queue.extendleft(reversed(passed))
        return group


def _as_unavailable(error: BaseException) -> AuthzError:
    refusal = unavailable()
    refusal.__cause__ = error
    return refusal


def _deliver(group: Sequence[_Unit], answers: Sequence[Answer]) -> None:
    """Tell each event loop once; one that has ended since has nobody waiting on it."""
    told: dict[Waits, list[tuple[asyncio.Future[Any], Answer]]] = {}
    for unit, answer in zip(group, answers, strict=True):
        told.setdefault(unit.waits, []).append((unit.wait.future, answer))
    for waits, settled in told.items():
        try:
            waits.loop.call_soon_threadsafe(_settle, waits, settled)
        except RuntimeError:
            continue


def _settle(waits: Waits, settled: Sequence[tuple[asyncio.Future[Any], Answer]]) -> None:
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, Failed):
            future.set_exception(answer.error)
        else:
            future.set_result(answer.result)
    waits.forget_settled()
