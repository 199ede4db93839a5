"""The `ForgettingStore` of core/forgetting over SQL, in small units between those of exchanges."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from authz_service.audit.forgotten import Forgotten, Keep, Passed
from authz_service.core.forgetting import Erased, Kept, Order, Person, Purged, PurgeRequest
from authz_service.errors import Unavailable
from authz_service.store import erased_names, keeping, purge_batches, purging
from authz_service.store.asking import BUSY, PREVIEW_SECONDS, Units
from authz_service.store.erasures import Erasures
from authz_service.store.forgotten_rows import SeenForgotten
from authz_service.store.keyring import Keyring
from authz_service.store.pace import Pace
from authz_service.store.purge_batches import LeftOver
from authz_service.store.sealing import Pseudonym

FIRST_ENTRIES = 64
FEWEST_ENTRIES = 32
"""In a unit of a purge. Each unit is an entry too: less would make more entries than it takes time."""
ENTRIES_EACH = 6
"""About so many a session has."""
LOOKS = 5
"""So often what is to be purged is looked through while it changes."""


class Forgetting:
    """Made by the store that it works on. `keyring` is None where payloads lie in clear."""

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
        self._seen = seen
        self._erasures = Erasures(units, keyring, seen, pseudonym, is_shared=is_shared)
        self._run: LeftOver | None = None
        self._pace = Pace(FIRST_ENTRIES, FEWEST_ENTRIES, purge_batches.ENTRIES_AT_ONCE)

    async def purge(self, request: PurgeRequest) -> Purged:
        """See `ForgettingStore.purge`."""
        known = await self._read()
        run, self._run = self._run, None
        if run is None or run.request != request:
            run = LeftOver(request, known)
        few = self._pace.most // ENTRIES_EACH
        left = await self._units.ask(
            lambda reader: run.take(reader, known, most=few), patience=PREVIEW_SECONDS
        )
        taken = await self._take(request, left)
        if taken.has_more or run.has_more:
            self._run = run
        return replace(taken, has_more=self._run is not None)

    async def _take(self, request: PurgeRequest, left: Sequence[Passed]) -> Purged:
        for _ in range(LOOKS):
            planned = await self._planned(request, left)
            if planned is None:
                return Purged()
            taken = await self._take_planned(planned)
            if taken is not None:
                return taken
        message = "what is to be purged changes while it is looked through; try again"
        raise Unavailable(message, code=BUSY)

    async def _planned(self, request: PurgeRequest, left: Sequence[Passed]) -> purging.Plan | None:
        # Outside of the transaction, which others wait for.
        known, most = await self._read(), self._pace.most
        return await self._units.ask(
            lambda reader: purging.plan(reader, request, known, left, most=most), patience=PREVIEW_SECONDS
        )

    async def _take_planned(self, planned: purging.Plan) -> Purged | None:
        return await self._pace.run(self._units.change, lambda t: purging.take(t, planned))

    async def purge_preview(self, request: PurgeRequest) -> Purged:
        """See `ForgettingStore.purge_preview`."""
        return await self._units.ask(
            lambda reader: purging.preview(reader, request), patience=PREVIEW_SECONDS
        )

    async def people(self, name: str) -> Sequence[Person]:
        """See `ForgettingStore.people`."""
        return await self._units.ask(
            lambda reader: erased_names.people(reader, self._pseudonym, name), patience=PREVIEW_SECONDS
        )

    async def erase(self, pseudonym: str, order: Order) -> Erased:
        """See `ForgettingStore.erase`."""
        return await self._erasures.erase(pseudonym, order)

    async def resume_erasures(self) -> int:
        """See `ForgettingStore.resume_erasures`."""
        return await self._erasures.resume()

    async def complete_erasures(self) -> int:
        """See `ForgettingStore.complete_erasures`."""
        return await self._erasures.complete()

    async def close(self) -> None:
        """Leave erasures that are under way to the next start."""
        await self._erasures.close()

    async def keep(self, *, session: str | None, subject: str | None, order: Order) -> Keep:
        """See `ForgettingStore.keep`."""
        keep_id = f"keep_{uuid.uuid4().hex[:16]}"
        return await self._units.change(
            lambda t: keeping.place(t, keep_id, session=session, subject=subject, order=order)
        )

    async def lift(self, keep_id: str, order: Order) -> None:
        """See `ForgettingStore.lift`."""
        known = await self._read()
        await self._units.change(lambda t: keeping.lift(t, keep_id, order, known))

    async def keeps(self) -> Sequence[Kept]:
        """See `ForgettingStore.keeps`."""
        return await self._units.ask(keeping.in_force, patience=PREVIEW_SECONDS)

    async def _read(self) -> Forgotten:
        return await self._units.ask(self._seen.read, patience=PREVIEW_SECONDS)
