"""Where a provider's metadata comes from, a file or an https URL: read anew, kept while it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import structlog

from authz_service.config.identity_values import SamlProvider
from authz_service.errors import AuthzError, Misconfigured, Unavailable
from authz_service.identity.download import LARGEST_DOCUMENT, fetch_bytes, reason
from authz_service.identity.saml.metadata import IdpMetadata, read_metadata, read_signer

FRESH = 3600.0
"""Seconds after which metadata is read again."""
STALE = 7 * 86_400.0
"""Seconds that the last good metadata is relied on while there is no newer."""
PAUSE = 30.0
"""Seconds between two attempts, whoever asks."""
PATIENCE = 10.0

log = structlog.get_logger()


class MetadataSource:
    """One provider's metadata. `clock` is in seconds since the epoch."""

    def __init__(
        self, provider: SamlProvider, client: httpx.AsyncClient, clock: Callable[[], float] = time.time
    ) -> None:
        self._provider = provider
        self._client = client
        self._clock = clock
        self._signer = read_signer(provider.signed_by) if provider.signed_by is not None else None
        self._found: IdpMetadata | None = None
        self._read_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def current(self) -> IdpMetadata:
        """The metadata in force; raises `Unavailable` while there is none."""
        if self._is_old():
            await self._renew()
        found, now = self._found, self._clock()
        is_over = found is not None and found.valid_until is not None and now >= found.valid_until
        if found is None or is_over or now - self._read_at > STALE:
            raise Unavailable(f"the metadata of {self._provider.name} cannot be had now; try again shortly")
        return found

    async def renewed(self, known: IdpMetadata) -> IdpMetadata | None:
        """Newer metadata than what is known, for a signature that is not good with it; None if there is none.

        Asked for at most once in 30 seconds, or anybody with a bad signature could have us ask.
        """
        if self._found == known:
            await self._renew()
        found = self._found
        return None if found is None or found == known else found

    async def fetch(self) -> IdpMetadata:
        """What the file or the server has now; raises `Misconfigured`, `ValueError` and what httpx raises."""
        where = self._provider.metadata
        if "://" in where:
            accept = "application/samlmetadata+xml, application/xml, text/xml"
            async with asyncio.timeout(PATIENCE):
                document, _ = await fetch_bytes(self._client, where, accept=accept)
        else:
            document = _content(Path(where))
        return read_metadata(
            document, entity_id=self._provider.entity_id, signer=self._signer, now=self._clock()
        )

    def _is_old(self) -> bool:
        return self._clock() - self._read_at > FRESH

    async def _renew(self) -> None:
        async with self._reading:
            if self._clock() - self._tried_at < PAUSE:
                return  # somebody else has just tried
            self._tried_at = self._clock()
            try:
                self._found = await self.fetch()
                self._read_at = self._clock()
            except (
                Exception
            ) as error:  # of whatever kind: what was good goes on, and what was said stays there
                why = str(error) if isinstance(error, AuthzError) else reason(error)
                log.warning("saml.metadata_away", provider=self._provider.name, reason=why)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_DOCUMENT + 1)
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST_DOCUMENT:
        raise Misconfigured(f"{path} is larger than {LARGEST_DOCUMENT} bytes")
    return content
