"""Records what nothing waits for, as soon as the store can: ends of exchanges, counts of refusals."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import structlog

from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.audit.retention import ORIGINAL
from authz_service.core.ports import BEGUN_BEFORE, Store
from authz_service.core.refusals import Refusal
from authz_service.errors import AuthzError, Conflict
from authz_service.runtime.repeats import Repeats
from authz_service.store.damage import DamagedEntry, DamagedKey

log = structlog.get_logger(__name__)

LONGEST_BACKLOG = 10_000
LARGEST_BACKLOG = 64 * 1024 * 1024
"""Bytes of payloads that wait, about: beyond it entries are kept without bodies."""
BODIES = frozenset({"body", "unread", ORIGINAL})
"""The payloads that are as large as callers like."""
COUNT_SECONDS = 60.0
RETRY_SECONDS = 0.5
MOST_SOURCES = 1_000
"""Sources that are counted apart in one interval; what comes from others is counted together."""


@dataclass(frozen=True, slots=True)
class Late:
    """What `stream` has to say of a session, or whoever has it (None); see `Store.append_own`."""

    drafts: tuple[EntryDraft, ...]
    stream: str | None
    again: bool = False

    @property
    def size(self) -> int:
        """The bytes of its payloads."""
        return sum(len(payload) for draft in self.drafts for payload in draft.payloads.values())

    def without_bodies(self) -> Late:
        """The same entries without `BODIES`."""
        return replace(
            self, drafts=tuple(replace(draft, payloads=_but_bodies(draft)) for draft in self.drafts)
        )


@dataclass(slots=True)
class Recorder:
    """A backlog of entries that outlives an outage of the store, but not the process.

    What the process loses with it, recovery at the next start finds as exchanges that never ended. Of
    refusals that are counted it loses how many there were.
    """

    store: Store
    clock: Callable[[], float] = time.monotonic
    _backlog: deque[Late] = field(default_factory=deque)
    _bytes: int = 0
    _refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    _repeats: Repeats = field(default_factory=Repeats)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Future[bool] | None = None

    @property
    def backlog(self) -> int:
        """How many ends and counts the record does not have yet."""
        return len(self._backlog)

    def later(self, drafts: tuple[EntryDraft, ...], *, stream: str | None = "", again: bool = False) -> None:
        """Record `drafts` soon; the oldest of a full backlog is dropped, and recovery finds it. Bodies for
        which there is no room are left out of their entries: nothing else bounds them here.

        `stream` is who says so, and `again` whether somebody else had it before, as in `Store.append_own`.
        """
        if len(self._backlog) >= LONGEST_BACKLOG:
            self._drop_first()
        late = Late(drafts, stream, again)
        if self._bytes + late.size > LARGEST_BACKLOG:
            short = late.without_bodies()
            if short.size < late.size:
                late = short
                log.warning("recorder.bodies_left_out", session=drafts[0].session)
        self._backlog.append(late)
        self._bytes += late.size
        self._wake.set()

    def count(self, source: str, code: str) -> None:
        """Count a refusal of somebody unauthenticated: one entry a minute, not one for each."""
        is_known = (source, code) in self._refusals or len(self._refusals) < MOST_SOURCES
        self._refusals[(source if is_known else "others", code)] += 1

    def counted(self, refusal: Refusal) -> str | None:
        """Count a refusal with an equal one on record, whose session this is; None where there is none."""
        return self._repeats.counted(refusal, self.clock())

    def begin(self, refusal: Refusal, session: str) -> None:
        """A refusal is on record as `session`: equal ones of the next minute are counted with it."""
        self._write(self._repeats.begin(refusal, session, self.clock()))

    async def run(self) -> None:
        """Write until cancelled."""
        loop = asyncio.get_running_loop()
        count_at = loop.time() + COUNT_SECONDS
        while True:
            if loop.time() >= count_at:
                self._take_counts()
                count_at = loop.time() + COUNT_SECONDS
            self._write(self._repeats.over(self.clock()))
            await self.drain()
            try:
                async with asyncio.timeout(RETRY_SECONDS if self._backlog else 5.0):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def drain(self, *, with_counts: bool = False) -> None:
        """Write what there is; what cannot be written now stays."""
        if with_counts:
            self._take_counts()
            self._write(self._repeats.over(math.inf))
        while self._backlog:
            if self._writing is None:
                self._writing = asyncio.ensure_future(self._write_first())
            # Shielded: a drain that is cancelled leaves a commit under way, which the next one waits for.
            if not await asyncio.shield(self._writing):
                return

    async def _write_first(self) -> bool:
        """Write the oldest of the backlog, or give it up; false when the store is away.

        Given up is what can never be written, and the end of what another process, or another stream of
        this one, has taken up meanwhile. A damaged key costs only whose it is: those behind do not wait
        until somebody has put it back.
        """
        late = self._backlog[0]
        try:
            await self.store.append_own(*late.drafts, stream=late.stream, again=late.again)
        except Conflict as error:
            if error.code == BEGUN_BEFORE and self._has_lost_its_first(late):
                return True
            log.warning("recorder.dropped", code=error.code)
        except (DamagedEntry, DamagedKey) as error:
            log.error("recorder.refused", error=str(error), kind=late.drafts[0].kind)
        except AuthzError:
            return False
        except Exception as error:  # whatever one entry has, those behind it must not wait for ever
            log.error("recorder.refused", error=type(error).__name__, kind=late.drafts[0].kind)
        finally:
            self._writing = None
        if self._backlog and self._backlog[0] is late:
            self._drop_first()
        return True

    def _has_lost_its_first(self, late: Late) -> bool:
        """Try again without the session's first entry, if more is left: that one was committed, and nobody
        was told."""
        if len(late.drafts) == 1 or not self._backlog or self._backlog[0] is not late:
            return False
        self._backlog[0] = replace(late, drafts=late.drafts[1:])
        self._bytes += self._backlog[0].size - late.size
        return True

    def _drop_first(self) -> None:
        self._bytes -= self._backlog.popleft().size

    def _write(self, drafts: Iterable[EntryDraft]) -> None:
        for draft in drafts:
            self.later((draft,), stream=None)

    def _take_counts(self) -> None:
        counts, self._refusals = self._refusals, Counter()
        for (source, code), number in sorted(counts.items()):
            data: Data = {"code": code, "count": number}
            payloads = {"source": source.encode()}
            self.later((EntryDraft(Kind.REFUSALS_COUNTED, None, data, payloads),))


def _but_bodies(draft: EntryDraft) -> dict[str, bytes]:
    return {name: payload for name, payload in draft.payloads.items() if name not in BODIES}
