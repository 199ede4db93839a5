"""The `ForgettingStore` of core/forgetting over SQL, in small units between those of exchanges."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from authz_service.audit.forgotten import Erasure, Forgotten, Keep
from authz_service.core.forgetting import Erased, Kept, Order, Person, Purged, PurgeRequest
from authz_service.store import erased_names, erasing, keeping, purging
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.keyring import Keyring
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


PREVIEW_SECONDS = 600.0


class Forgetting:
    """Made by the store that it works on. `keyring` is None where payloads lie in clear."""

    def __init__(self, units: Units, keyring: Keyring | None) -> None:
        self._units = units
        self._keyring = keyring
        self._known = Forgotten()

    async def purge(self, request: PurgeRequest) -> Purged:
        """See `ForgettingStore.purge`."""
        # Read before the transaction, which others wait for: there may be many tombstones.
        self._known = known = await self._units.ask(
            lambda reader: read_forgotten(reader, self._known), patience=PREVIEW_SECONDS
        )
        return await self._units.change(lambda t: purging.purge(t, request, known))

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
        erasure = await self._units.change(lambda t: erasing.order_erasure(t, pseudonym, order))
        await self._destroy(erasure)
        return await self._carry_out(erasure)

    async def resume_erasures(self) -> int:
        """See `ForgettingStore.resume_erasures`."""
        known = await self._units.ask(read_forgotten, patience=PREVIEW_SECONDS)
        count = 0
        for erasure in known.erasures:
            if await self._is_to_do(erasure):
                await self._carry_out(erasure)
                count += 1
        return count

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

    async def _is_to_do(self, erasure: Erasure) -> bool:
        """Whether it was not ended, or keys that it destroyed came back with a backup; they are gone now."""
        if self._keyring is None:
            return erasure.done is None
        if erasure.done is None:
            await self._destroy(erasure)
            return True
        return await asyncio.to_thread(self._keyring.destroy_again, erasure.keys) > 0

    async def _destroy(self, erasure: Erasure) -> None:
        if self._keyring is None:
            return
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
        destroyed: list[str] = []
        if self._keyring is not None:
            for subject in sorted(erasure.subjects):
                destroyed += await asyncio.to_thread(self._keyring.destroyed, subject)
        erased = Erased(taken, gone + theirs, votes, tuple(destroyed))
        await self._units.change(lambda t: erasing.finish(t, erasure, erased))
        return erased
