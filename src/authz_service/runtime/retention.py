"""Lets go of what has been on record for its time: now and then, in small batches, while traffic goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from authz_service.audit.retention import Retention
from authz_service.config.keeping_values import Keep
from authz_service.core.forgetting import ForgettingStore, Purged, PurgeRequest
from authz_service.errors import AuthzError

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600.0
COMPLETE_SECONDS = 60.0
PAUSE_SECONDS = 0.1
"""Between two batches, so that those who wait for a commit have their turn."""


class Retaining:
    """`now` is the store's clock, in seconds. `purged` is what this process took so far."""

    def __init__(self, store: ForgettingStore, keep: Keep, *, now: Callable[[], Awaitable[float]]) -> None:
        self._store, self._keep, self._now = store, keep, now
        self.purged = Purged()

    async def run(self) -> None:
        """Purge now and every hour, until cancelled; what fails is tried again."""
        while True:
            try:
                await self.purge()
            except Exception as error:  # whatever is wrong with what is stored, traffic must not end with it
                log.error("record.purge_failed", error=_said(error), next="authz audit verify")
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
        """Take everything whose time is over; each batch is committed with its tombstone."""
        now = await self._now()
        for retention, seconds in times(self._keep):
            before = round((now - seconds) * 1_000_000)
            policy = f"record.keep.{retention.value}: {duration(seconds)}"
            taken = await purge_all(self._store, PurgeRequest(retention, before, policy))
            self.purged += taken
            if taken.entries:
                log.info(
                    "record.purged", kind=retention.value, entries=taken.entries, payloads=taken.payloads
                )


async def purge_all(
    store: ForgettingStore,
    request: PurgeRequest,
    *,
    pause: float = PAUSE_SECONDS,
    progress: Callable[[Purged], None] = lambda taken: None,
) -> Purged:
    """Take batch after batch to the end; `progress` is told of all so far after each."""
    total = Purged()
    while True:
        total += await store.purge(request)
        progress(total)
        if not total.has_more:
            return total
        await asyncio.sleep(pause)


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
