"""Lets go of what has been on record for its time: now and then, in small batches, while traffic goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from authz_service.audit.retention import Retention
from authz_service.config.keeping_values import Keep
from authz_service.core.forgetting import ForgettingStore, Purged, PurgeRequest
from authz_service.errors import AuthzError, Unavailable

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600.0
COMPLETE_SECONDS = 60.0
PAUSE_SECONDS = 0.05
"""Between two batches at least, so that those who wait for a commit have their turn."""
AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""After a batch that the store could not take: it has much to do, and takes a smaller one then."""
BUSY = frozenset({"store_unavailable", "store_busy"})


class Retaining:
    """`now` is the store's clock, in seconds. `purged` is what this process took so far."""

    def __init__(self, store: ForgettingStore, keep: Keep, *, now: Callable[[], Awaitable[float]]) -> None:
        self._store, self._keep, self._now = store, keep, now
        self.purged = Purged()

    async def run(self) -> None:
        """Purge now and every hour, until cancelled; what fails is tried again."""
        while True:
            await self.purge()
            await asyncio.sleep(EVERY_SECONDS)

    async def complete(self) -> None:
        """Every minute, until cancelled: complete the erasures that were cut off, by whatever it was."""
        while True:
            await asyncio.sleep(COMPLETE_SECONDS)
            try:
                completed = await self._store.complete_erasures()
            except Exception as error:  # as above
                log.error("record.erasure_failed", error=_said(error), next="it is tried again in a minute")
                continue
            if completed:
                log.warning("record.erasures_completed", number=completed)

    async def purge(self) -> None:
        """Take everything whose time is over; each batch is committed with its tombstone.

        What keeps one class from it keeps no other, and is in the log.
        """
        for retention, seconds in times(self._keep):
            try:
                await self._purge(retention, seconds)
            except Exception as error:  # whatever is wrong with what is stored, traffic must not end with it
                failed = {"kind": retention.value, "error": _said(error)}
                log.error("record.purge_failed", **failed, next="authz audit verify")

    async def _purge(self, retention: Retention, seconds: float) -> None:
        before = round((await self._now() - seconds) * 1_000_000)
        policy = f"record.keep.{retention.value}: {duration(seconds)}"
        taken = await purge_all(self._store, PurgeRequest(retention, before, policy))
        self.purged += taken
        if taken.entries:
            log.info("record.purged", kind=retention.value, entries=taken.entries, payloads=taken.payloads)


async def purge_all(
    store: ForgettingStore,
    request: PurgeRequest,
    *,
    pause: float = PAUSE_SECONDS,
    progress: Callable[[Purged], None] = lambda taken: None,
) -> Purged:
    """Take batch after batch to the end; `progress` is told of all so far after each.

    After each it leaves the store to others for as long as that took, and for `pause` seconds at least;
    with none nobody else uses the store. Raises `Unavailable`, where the store is busy after some attempts.
    """
    total = Purged()
    while True:
        began = time.monotonic()
        total += await _patiently(store, request)
        progress(total)
        if not total.has_more:
            return total
        await asyncio.sleep(max(pause, time.monotonic() - began) if pause else 0.0)


async def _patiently(store: ForgettingStore, request: PurgeRequest) -> Purged:
    for wait in AGAIN_SECONDS:
        try:
            return await store.purge(request)
        except Unavailable as error:
            if error.code not in BUSY:
                raise
            await asyncio.sleep(wait)
    return await store.purge(request)


def _said(error: Exception) -> str:
    """Not what an error that is none of ours says: it could quote what is on record."""
    return str(error) if isinstance(error, AuthzError) else type(error).__name__


def times(keep: Keep) -> tuple[tuple[Retention, float], ...]:
    """Each class and its seconds; payloads before the entries that account for them.

    Values before masking are among them where none are kept: there may be some of an earlier time.
    """
    return (
        (Retention.ORIGINALS, keep.originals),
        (Retention.PAYLOADS, keep.payloads),
        (Retention.ENTRIES, keep.entries),
    )


def duration(seconds: float) -> str:
    """As the configuration writes it."""
    days, rest = divmod(round(seconds), 86_400)
    return f"{round(seconds) // 3600}h" if rest else f"{days}d"
