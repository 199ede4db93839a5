"""API keys, tokens that were withdrawn, and what may be used once, over SQL."""

from __future__ import annotations

from authz_service.audit.draft import EntryDraft
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked
from authz_service.store import api_key_rows, once_rows, revocation_rows
from authz_service.store.parts.units import SqlUnits


class SqlCredentials(SqlUnits):
    """The `ApiKeyStore`, `RevocationStore` and `OnceStore` of core."""

    async def create_key(self, key: ApiKey, entry: EntryDraft) -> ApiKey:
        """See `ApiKeyStore.create_key`."""
        return await self._writer.run(lambda t: api_key_rows.create(t, key, entry))

    async def rotate_key(self, key: ApiKey, entry: EntryDraft, *, until: float) -> ApiKey:
        """See `ApiKeyStore.rotate_key`."""
        return await self._writer.run(lambda t: api_key_rows.rotate(t, key, entry, until=until))

    async def revoke_key(self, key_id: str, entry: EntryDraft) -> ApiKey:
        """See `ApiKeyStore.revoke_key`."""
        return await self._writer.run(lambda t: api_key_rows.revoke(t, key_id, entry))

    async def changed_keys(self, after: int = 0) -> KeysRead | None:
        """See `ApiKeyStore.changed_keys`."""
        return await self._read(lambda reader: api_key_rows.changed(reader, after))

    async def api_keys(self) -> tuple[ApiKey, ...]:
        """See `ApiKeyStore.api_keys`."""
        return await self._read(api_key_rows.every)

    async def revoke(self, revocation: Revocation, entry: EntryDraft) -> None:
        """See `RevocationStore.revoke`."""
        await self._writer.run(lambda t: revocation_rows.revoke(t, revocation, entry))

    async def restore(self, what: Revoked, entry: EntryDraft) -> bool:
        """See `RevocationStore.restore`."""
        return await self._writer.run(lambda t: revocation_rows.restore(t, what, entry))

    async def revocations(self, known: str = "") -> RevocationsRead | None:
        """See `RevocationStore.revocations`."""
        return await self._read(lambda reader: revocation_rows.read(reader, known))

    async def use_once(self, entry: EntryDraft) -> None:
        """See `OnceStore.use_once`."""
        await self._writer.run(lambda t: once_rows.use_once(t, entry))
