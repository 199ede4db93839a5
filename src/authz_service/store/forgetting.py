"""The `ForgettingStore` of core/forgetting over SQL, in small units between those of exchanges."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from authz_service.audit.forgotten import Erasure, Forgotten, Keep
from authz_service.core.forgetting import Erased, Kept, Order, Person, Purged, PurgeRequest
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store import erased_names, erasing, erasing_kept, keeping, kept_rows, purging
from authz_service.store.forgotten_rows import SeenForgotten
from authz_service.store.keyring import REMEMBERED_SECONDS, Keyring
from authz_service.store.purge_batches import LeftOver
from authz_service.store.transaction import Reader, Transaction

Result = TypeVar("Result")


class Units(Protocol):
    """Runs units of work: each `change` in a transaction of its own, each `ask` on one view."""

    async def change(self, work: Callable[[Transaction], Result]) -> Result:
        """Raises `Unavailable`."""
        ...

    async def ask(self, question: Callable[[Reader], Result], *, patience: float) -> Result:
        """Raises `Unavailable`, also after `patience` seconds."""
        ...

    async def now(self) -> float:
        """The database's clock, in seconds; raises `Unavailable`."""
        ...


log = structlog.get_logger(__name__)

PREVIEW_SECONDS = 600.0
SETTLE_SECONDS = REMEMBERED_SECONDS + 5.0
"""After an order: for so long another replica knows the key, and may wait for a commit."""
LATE_SECONDS = 300.0
"""An erasure that is not done then was cut off: no process is about it any more."""


class Forgetting:
    """Made by the store that it works on. `keyring` is None where payloads lie in clear."""

    def __init__(
        self, units: Units, keyring: Keyring | None, seen: SeenForgotten, *, is_shared: bool
    ) -> None:
        """With `is_shared` other processes may write the same record."""
        self._units = units
        self._keyring = keyring
        self._seen = seen
        self._is_shared = is_shared
        self._run: LeftOver | None = None
        self._tasks: set[asyncio.Task[Erased]] = set()

    async def purge(self, request: PurgeRequest) -> Purged:
        """See `ForgettingStore.purge`."""
        # Read before the transaction, which others wait for: there may be many tombstones, and much may
        # have been passed over.
        known = await self._read()
        run, self._run = self._run, None
        if run is None or run.request != request:
            run = LeftOver(request, known)
        left = await self._units.ask(lambda reader: run.take(reader, known), patience=PREVIEW_SECONDS)
        taken = await self._units.change(lambda t: purging.purge(t, request, known, left))
        if taken.has_more or run.has_more:
            self._run = run
        return replace(taken, has_more=self._run is not None)

    async def purge_preview(self, request: PurgeRequest) -> Purged:
        """See `ForgettingStore.purge_preview`."""
        return await self._units.ask(
            lambda reader: purging.preview(reader, request), patience=PREVIEW_SECONDS
        )

    async def people(self, name: str) -> Sequence[Person]:
        """See `ForgettingStore.people`."""
        return await self._units.change(lambda t: erased_names.people(t, name))

    async def erase(self, pseudonym: str, order: Order) -> Erased:
        """See `ForgettingStore.erase`."""
        task = asyncio.create_task(self._erase(pseudonym, order))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        # Whoever ordered it may leave; half of it done would be neither.
        return await asyncio.shield(task)

    async def resume_erasures(self) -> int:
        """See `ForgettingStore.resume_erasures`."""
        known = await self._read()
        return sum([await self._resume(erasure) for erasure in known.erasures])

    async def complete_erasures(self) -> int:
        """See `ForgettingStore.complete_erasures`."""
        known = await self._read()
        open_ones = [erasure for erasure in known.erasures if erasure.done is None]
        if not open_ones:
            return 0
        now = await self._units.now()
        late = [erasure for erasure in open_ones if erasure.at / 1_000_000 < now - LATE_SECONDS]
        return sum([await self._resume(erasure) for erasure in late])

    async def close(self) -> None:
        """Leave erasures that are under way to the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def keep(self, *, session: str | None, subject: str | None, order: Order) -> Keep:
        """See `ForgettingStore.keep`."""
        keep_id = f"keep_{uuid.uuid4().hex[:16]}"
        return await self._units.change(
            lambda t: keeping.place(t, keep_id, session=session, subject=subject, order=order)
        )

    async def lift(self, keep_id: str, order: Order) -> None:
        """See `ForgettingStore.lift`."""
        await self._units.change(lambda t: keeping.lift(t, keep_id, order))

    async def keeps(self) -> Sequence[Kept]:
        """See `ForgettingStore.keeps`."""
        return await self._units.ask(keeping.in_force, patience=PREVIEW_SECONDS)

    async def _read(self) -> Forgotten:
        return await self._units.ask(self._seen.read, patience=PREVIEW_SECONDS)

    async def _erase(self, pseudonym: str, order: Order) -> Erased:
        erasure = await self._units.change(lambda t: erasing.order_erasure(t, pseudonym, order))
        await self._destroy(erasure)
        return await self._carry_out(erasure)

    def _ended(self, task: asyncio.Task[Erased]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever ordered it was told, or left; it is completed later

    async def _resume(self, erasure: Erasure) -> bool:
        """Whether there was anything to do, and it is done now; what damage keeps from its end is left."""
        try:
            return await self._complete(erasure)
        except Unavailable as error:
            if error.code != DAMAGED:
                raise
            log.error(
                "record.erasure_failed", entry=erasure.ordered, error=str(error), next="authz audit verify"
            )
            return False

    async def _complete(self, erasure: Erasure) -> bool:
        if erasure.done is not None and not await self._came_back(erasure):
            return False
        if erasure.done is None:
            try:
                await self._units.change(lambda t: erasing_kept.require_not_kept(t, erasure.subjects))
            except Conflict as kept:
                log.warning("record.erasure_waits", entry=erasure.ordered, error=str(kept))
                return False
            await self._destroy(erasure)
        await self._carry_out(erasure)
        return True

    async def _came_back(self, erasure: Erasure) -> bool:
        """Whether keys that it destroyed were there again, as from a backup; they are gone now."""
        if self._keyring is None:
            return False
        return await asyncio.to_thread(self._keyring.destroy_keys, erasure.keys) > 0

    async def _destroy(self, erasure: Erasure) -> None:
        if self._keyring is None:
            return
        await asyncio.to_thread(self._keyring.destroy_keys, erasure.keys)
        if not erasure.has_named_keys:
            for subject in sorted(erasure.subjects):
                await asyncio.to_thread(self._keyring.destroy, subject)

    async def _carry_out(self, erasure: Erasure) -> Erased:
        taken = gone = after = 0
        while True:
            at = after
            last, some, payloads = await self._units.change(
                lambda t, at=at: erasing.take_sessions(t, erasure, after=at)  # type: ignore[misc]  # no type is seen in a default
            )
            if not last:
                break
            taken, gone, after = taken + some, gone + payloads, last
        votes, theirs = await self._units.change(lambda t: erasing.take_votes(t, erasure))
        while await self._units.change(lambda t: kept_rows.take_person(t, erasure)):
            pass
        erased = Erased(taken, gone + theirs, votes, tuple(sorted(await self._keys(erasure))))
        await self._settled(erasure)
        await self._units.change(lambda t: erasing.finish(t, erasure, erased))
        return erased

    async def _keys(self, erasure: Erasure) -> frozenset[str]:
        keys = set(erasure.keys)
        if self._keyring is not None and not erasure.has_named_keys:
            for subject in sorted(erasure.subjects):
                keys |= set(await asyncio.to_thread(self._keyring.destroyed, subject))
        return frozenset(keys)

    async def _settled(self, erasure: Erasure) -> None:
        """Wait until no replica seals anything under the old keys: the tombstone accounts for all of it."""
        if self._is_shared and self._keyring is not None:
            passed = await self._units.now() - erasure.at / 1_000_000
            await asyncio.sleep(min(SETTLE_SECONDS, max(0.0, SETTLE_SECONDS - passed)))
