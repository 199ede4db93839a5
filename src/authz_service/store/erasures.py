"""Erasures from order to end: each is ordered, carried out, and completed where it was cut off."""

from __future__ import annotations

import asyncio

import structlog

from authz_service.audit.forgotten import Erasure, Forgotten
from authz_service.core.forgetting import Erased, Order
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store import erasing
from authz_service.store.asking import BUSY, PREVIEW_SECONDS, Units
from authz_service.store.damage import DAMAGE
from authz_service.store.erasing_kept import MOST_NEW, KeptLook
from authz_service.store.erasing_look import Look, look
from authz_service.store.erasing_units import take_all
from authz_service.store.forgotten_rows import SeenForgotten
from authz_service.store.keyring import REMEMBERED_SECONDS, Keyring
from authz_service.store.sealing import Pseudonym
from authz_service.store.transaction import Transaction

log = structlog.get_logger(__name__)

SETTLE_SECONDS = REMEMBERED_SECONDS + 5.0
"""After an order: for so long another replica knows the key, and may wait for a commit."""
LOOKS = 5
"""So often what is on record of somebody is looked through while it changes under an order to erase them."""
LATE_SECONDS = 300.0
"""An erasure that is not done then was cut off: no process is about it any more."""


class Erasures:
    """Those of one store. `keyring` is None where payloads lie in clear."""

    def __init__(
        self,
        units: Units,
        keyring: Keyring | None,
        seen: SeenForgotten,
        pseudonym: Pseudonym,
        *,
        is_shared: bool,
    ) -> None:
        """With `is_shared` other processes may write the same record."""
        self._units = units
        self._pseudonym = pseudonym
        self._keyring = keyring
        self._seen = seen
        self._is_shared = is_shared
        self._tasks: set[asyncio.Task[Erased]] = set()
        self._again: dict[int, Erasure] = {}
        """Those that were done, and of which the keys came back: by the entries that ordered them."""

    async def erase(self, pseudonym: str, order: Order) -> Erased:
        """See `ForgettingStore.erase`."""
        task = asyncio.create_task(self._erase(pseudonym, order))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        # Whoever ordered it may leave; half of it done would be neither.
        return await asyncio.shield(task)

    async def resume(self) -> int:
        """See `ForgettingStore.resume_erasures`."""
        try:
            known = await self._read()
        except Unavailable as error:
            if error.code != DAMAGED:
                raise
            log.error("record.erasure_failed", error=str(error), next="authz audit verify")
            return 0
        return sum([await self._resume(erasure) for erasure in known.erasures])

    async def complete(self) -> int:
        """See `ForgettingStore.complete_erasures`."""
        known = await self._read()
        open_ones = [erasure for erasure in known.erasures if erasure.done is None]
        if not (open_ones or self._again):
            return 0
        now = await self._units.now()
        late = [erasure for erasure in open_ones if erasure.at / 1_000_000 < now - LATE_SECONDS]
        return sum([await self._resume(erasure) for erasure in (*late, *self._again.values())])

    async def close(self) -> None:
        """Leave erasures that are under way to the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> Forgotten:
        return await self._units.ask(self._seen.read, patience=PREVIEW_SECONDS)

    async def _erase(self, pseudonym: str, order: Order) -> Erased:
        erasure = await self._ordered(pseudonym, order)
        await self._destroy(erasure)
        return await self._carry_out(erasure)

    async def _ordered(
        self, subject: str, order: Order | None, also: frozenset[str] = frozenset()
    ) -> Erasure:
        for _ in range(LOOKS):
            known = await self._read()
            found = await self._units.ask(
                lambda reader, known=known: look(reader, self._pseudonym, subject, known, also),  # type: ignore[misc]  # no type is seen in a default
                patience=PREVIEW_SECONDS,
            )
            await self._catch_up(found)
            erasure = await self._units.change(
                lambda t, found=found: erasing.order_erasure(t, found, order)  # type: ignore[misc]  # as above
            )
            if erasure is not None:
                return erasure
        raise _changing()

    async def _require_free(self, subjects: frozenset[str]) -> None:
        """Raise `Conflict` while a legal hold is on anything that these have a part in."""
        for _ in range(LOOKS):
            found = KeptLook(subjects, await self._read())
            await self._catch_up(found)
            if await self._units.change(lambda t, found=found: _is_free(t, found)):  # type: ignore[misc]  # as above
                return
        raise _changing()

    async def _catch_up(self, found: Look | KeptLook) -> None:
        """Read on until little is left for the transaction that waits for nobody."""
        for _ in range(LOOKS):
            if await self._units.ask(found.read_on, patience=PREVIEW_SECONDS) <= MOST_NEW:
                return

    def _ended(self, task: asyncio.Task[Erased]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever ordered it was told, or left; it is completed later

    async def _resume(self, erasure: Erasure) -> bool:
        """Whether there was anything to do, and it is done now.

        What damage, or much else to do, keeps from its end is left: a start must not fail for it.
        """
        next_step = "authz audit verify"
        try:
            return await self._complete(erasure)
        except Unavailable as error:
            if error.code not in (DAMAGED, BUSY):
                raise
            why = str(error)
            if error.code == BUSY:
                next_step = "it is tried again within minutes"
        except DAMAGE as error:  # read where nobody asks whether it can be: of others' erasures it is no part
            why = type(error).__name__
        log.error("record.erasure_failed", entry=erasure.ordered, error=why, next=next_step)
        return False

    async def _complete(self, erasure: Erasure) -> bool:
        if erasure.done is not None:
            return await self._repeat(erasure)
        try:
            if erasure.has_named_keys:
                await self._require_free(erasure.subjects)
            else:  # of an earlier version: what they say from now on is to outlive it
                erasure = await self._ordered(erasure.subject, None, erasure.also)
        except Conflict as kept:
            log.warning("record.erasure_waits", entry=erasure.ordered, error=str(kept))
            return False
        await self._destroy(erasure)
        await self._carry_out(erasure)
        return True

    async def _repeat(self, erasure: Erasure) -> bool:
        """One that is done, where its keys came back: until nothing is left of it, whatever cuts it off."""
        if await self._came_back(erasure):
            self._again[erasure.ordered] = erasure
        if erasure.ordered not in self._again:
            return False
        await self._carry_out(erasure)
        del self._again[erasure.ordered]
        return True

    async def _came_back(self, erasure: Erasure) -> bool:
        """Whether keys that it destroyed were there again, as from a backup; they are gone now."""
        if self._keyring is None:
            return False
        return await asyncio.to_thread(self._keyring.destroy_keys, erasure.keys) > 0

    async def _destroy(self, erasure: Erasure) -> None:
        if self._keyring is not None:
            await asyncio.to_thread(self._keyring.destroy_keys, erasure.keys)

    async def _carry_out(self, erasure: Erasure) -> Erased:
        erased = await take_all(self._units, self._pseudonym, erasure)
        await self._settled(erasure)
        known = await self._read()
        await self._units.change(lambda t: erasing.finish(t, erasure, erased, known))
        return erased

    async def _settled(self, erasure: Erasure) -> None:
        """Wait until no replica seals anything under the old keys: the tombstone accounts for all of it."""
        if self._is_shared and self._keyring is not None:
            passed = await self._units.now() - erasure.at / 1_000_000
            await asyncio.sleep(min(SETTLE_SECONDS, max(0.0, SETTLE_SECONDS - passed)))


def _is_free(transaction: Transaction, found: KeptLook) -> bool:
    """Whether that could be told; raises as `KeptLook.require_free`."""
    if not found.is_fresh(transaction):
        return False
    found.require_free(transaction)
    return True


def _changing() -> Unavailable:
    message = "what is on record of this person changes while it is looked through; try again"
    return Unavailable(message, code=BUSY)
