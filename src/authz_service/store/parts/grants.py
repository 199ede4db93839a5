"""The `GrantStore` of core/grants over SQL."""

from __future__ import annotations

from collections.abc import Callable

from authz_service.audit.draft import EntryDraft
from authz_service.core.grants import Grant, Maker, Terms
from authz_service.core.stored_grants import GrantEnd, GrantPage, GrantQuery
from authz_service.keys.ids import new_id
from authz_service.store import grant_ending, grant_queries, granting
from authz_service.store.parts.units import SqlUnits


class SqlGrants(SqlUnits):
    """Grants: asked for, approved, ended and listed."""

    async def propose_grant(self, hold_id: str, *, terms: Terms, shown: str, by: Maker) -> Grant:
        """See `GrantStore.propose_grant`."""
        return await self._writer.run(
            lambda t: granting.propose(t, hold_id, terms=terms, shown=shown, by=by, new_id=new_id)
        )

    async def approve_grant(self, grant_id: str, *, digest: str, by: Maker) -> Grant:
        """See `GrantStore.approve_grant`."""
        return await self._writer.run(
            lambda t: granting.approve(t, grant_id, digest=digest, by=by, new_id=new_id)
        )

    async def revoke_grant(
        self, grant_id: str, *, by: Maker, killed: Callable[[str], EntryDraft] | None = None
    ) -> GrantEnd:
        """See `GrantStore.revoke_grant`."""
        act_id = new_id("act")
        return await self._writer.run(
            lambda t: grant_ending.revoke(t, grant_id, by=by, killed=killed, act_id=act_id)
        )

    async def grant(self, grant_id: str) -> Grant | None:
        """See `GrantStore.grant`."""
        return await self._read(lambda reader: grant_queries.one(reader, grant_id))

    async def grants(self, query: GrantQuery) -> GrantPage:
        """See `GrantStore.grants`."""
        return await self._read(lambda reader: grant_queries.listed(reader, query))
