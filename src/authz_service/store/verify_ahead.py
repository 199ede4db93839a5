"""Payloads, verified by other processes ahead of whoever goes through the entries.

Each has a view of its own of the store, which may be newer: entries and payloads are only ever added, but for
what is purged or erased, and of that entries tell. A view in which more was told of is not used, and none is
where an erasure is under way, which tells at its end. What they do not answer is verified here.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

from authz_service.audit.forgotten import Forgotten
from authz_service.audit.walk import readable
from authz_service.errors import AuthzError
from authz_service.store.forgotten_rows import accounted_for
from authz_service.store.record_reader import ENTRIES_AT_ONCE, RecordReader
from authz_service.store.verify_payloads import CheckedPayloads, PayloadsCheck

View = Callable[[], AbstractContextManager[RecordReader]]
"""Opens a view of the store; picklable, as it is called in another process."""


@dataclass(frozen=True, slots=True)
class Helpers:
    """`jobs` processes in all: one for the entries, and others with a view each that `view` opens."""

    view: View
    jobs: int


class Ahead:
    """The payloads of the entries from a number on; two pages of those for each process are under way.

    There are none while the first process is starting, which takes longer than many a page.
    """

    def __init__(self, pool: ProcessPoolExecutor | None, *, last: int, jobs: int, told: int) -> None:
        self._pool, self._last, self._most, self._told = pool, last, 2 * jobs, told
        self._next = 1
        self._waiting: deque[tuple[int, Future[CheckedPayloads | None]]] = deque()
        self._started = pool.submit(_open) if pool is not None else None

    def has_started(self) -> bool:
        """Whether one of the processes is there to be asked."""
        return self._started is not None and self._started.done()

    def begin(self, first: int) -> None:
        """Have what comes from `first` on verified, as far ahead as may be."""
        if not self._waiting or self._waiting[0][0] != first:
            self._waiting.clear()  # for numbers of which there are no entries
            self._next = first
        while (
            self._pool and self._next <= self._last and len(self._waiting) < self._most and self.has_started()
        ):
            try:
                asked = self._pool.submit(_check, self._next, self._last, self._told)
            except BrokenProcessPool:
                self._pool = None
                return
            self._waiting.append((self._next, asked))
            self._next += ENTRIES_AT_ONCE

    def page(self, first: int) -> CheckedPayloads | None:
        """What was found in the entries from `first` on; None where it is to be verified here."""
        if not self._waiting or self._waiting[0][0] != first:
            return None
        try:
            return self._waiting.popleft()[1].result()
        except BrokenProcessPool:
            self._pool = None
            return None


@contextmanager
def ahead(helpers: Helpers | None, *, last: int, told: int) -> Iterator[Ahead]:
    """`told` is the number of the last entry about what was let go of, in the view of whoever asks."""
    if helpers is None or helpers.jobs < 2:
        yield Ahead(None, last=last, jobs=0, told=told)
        return
    others = helpers.jobs - 1
    pool = ProcessPoolExecutor(others, multiprocessing.get_context("spawn"), _prepare, (helpers.view,))
    try:
        yield Ahead(pool, last=last, jobs=others, told=told)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Helper:
    """What a process that helps has open, from its first page on."""

    view: View
    stack: ExitStack
    reader: RecordReader | None = None
    forgotten: Forgotten | None = None

    def open(self) -> tuple[RecordReader, Forgotten]:
        if self.reader is None or self.forgotten is None:
            self.reader = self.stack.enter_context(self.view())
            try:
                self.forgotten = accounted_for(self.reader)
            except ValueError:
                self.forgotten = Forgotten()
        return self.reader, self.forgotten


_helper: _Helper | None = None


def _prepare(view: View) -> None:
    global _helper
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for whoever asked
    gc.disable()  # see `verify_store`
    _helper = _Helper(view, ExitStack())


def _open() -> None:
    assert _helper is not None  # `_prepare` came first
    with suppress(AuthzError):  # as in `_check`
        _helper.open()


def _check(first: int, last: int, told: int) -> CheckedPayloads | None:
    assert _helper is not None  # `_prepare` came first
    try:
        reader, forgotten = _helper.open()
        if forgotten.last != told:
            return None
        rows = reader.between(first, last)
        seen = readable((row.seq, row.body) for row in rows)
        return PayloadsCheck(reader, forgotten).page(list(seen))
    except AuthzError:
        return None  # whoever asked meets the same, and can say so
