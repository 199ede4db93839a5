"""Keys from an issuer's JWKS endpoint, fetched so that no caller with a known key ever waits for it.

One fetch at a time; refreshed ahead of need; the last good keys kept while the issuer is away; a token
with an unknown key id causes at most one fetch in 30 seconds, since anybody can send such tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import structlog

from authz_service.identity.key_sources import no_keys, only_key
from authz_service.identity.keys import VerifyingKey, read_jwks, select

REFRESH_AFTER = 300.0
RETRY_AFTER = 30.0
"""Seconds between fetches that unknown key ids cause, and between attempts while the issuer is away."""
FIRST_RETRY_AFTER = 2.0
"""The same while there are no keys at all, so that a service that started first recovers soon."""
LONGEST_OUTAGE = 86_400.0
UNKNOWN_FOR = 300.0
MOST_UNKNOWN = 1_000
LONGEST_FETCH = 10.0
LARGEST_DOCUMENT = 512 * 1024

log = structlog.get_logger()
_NEVER = float("-inf")


class JwksUrl:
    """The keys behind one URL; it closes `client` with itself. `clock` is in seconds, monotonic."""

    def __init__(
        self, url: str, client: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._client = client
        self._clock = clock
        self._keys: tuple[VerifyingKey, ...] = ()
        self._fetched_at = _NEVER
        self._tried_at = _NEVER
        self._fetch: asyncio.Task[None] | None = None
        self._unknown: dict[str, float] = {}

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        await self.warm()
        self._refresh_if_due()
        if kid is not None and not select(self._keys, kid, algorithm) and self._is_worth_asking(kid):
            before = self._fetched_at
            await self._refreshed()
            if self._fetched_at > before and not select(self._keys, kid, algorithm):
                self._remember_unknown(kid)
        return only_key(self._keys, kid, algorithm)

    def has(self, key: VerifyingKey) -> bool:
        self._refresh_if_due()
        return self._has_keys() and key in self._keys

    async def warm(self) -> None:
        if self._has_keys():
            return
        if self._is_fetching() or self._since(self._tried_at) >= FIRST_RETRY_AFTER:
            await self._refreshed()
        if not self._has_keys():
            raise no_keys()

    async def close(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)
        await self._client.aclose()

    def _has_keys(self) -> bool:
        return self._since(self._fetched_at) <= LONGEST_OUTAGE

    def _since(self, moment: float) -> float:
        return self._clock() - moment

    def _is_fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    def _refresh_if_due(self) -> None:
        if self._since(self._fetched_at) >= REFRESH_AFTER and self._since(self._tried_at) >= RETRY_AFTER:
            self._start_fetch()

    def _is_worth_asking(self, kid: str) -> bool:
        if self._clock() < self._unknown.get(kid, _NEVER):
            return False
        return self._is_fetching() or self._since(self._tried_at) >= RETRY_AFTER

    def _remember_unknown(self, kid: str) -> None:
        self._unknown.pop(kid, None)
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = self._clock() + UNKNOWN_FOR

    async def _refreshed(self) -> None:
        # Shielded: a caller that gives up must not end the fetch that others wait for.
        await asyncio.shield(self._start_fetch())

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._fetch is None or self._fetch.done():
            self._tried_at = self._clock()
            self._fetch = asyncio.create_task(self._run(), name="jwks")
        return self._fetch

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_FETCH):
                self._keys = read_jwks(await self._download())
            self._fetched_at = self._clock()
        except Exception as error:  # of whatever kind: the last keys stay, and those who wait are told
            log.warning("jwks.unavailable", host=httpx.URL(self._url).host, reason=_reason(error))

    async def _download(self) -> bytes:
        # Without compression, so that the limit on what is read is a limit on what is held.
        headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
        document = bytearray()
        # A redirect would let whoever controls one path of the issuer's site name other keys.
        async with self._client.stream("GET", self._url, headers=headers, follow_redirects=False) as answer:
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("compressed although asked not to be")
            async for chunk in answer.aiter_raw():
                document += chunk
                if len(document) > LARGEST_DOCUMENT:
                    raise ValueError(f"larger than {LARGEST_DOCUMENT} bytes")
        return bytes(document)


def _reason(error: Exception) -> str:
    """What to log: our own words and the kinds of foreign errors, never what the server said."""
    return str(error) if type(error) is ValueError else type(error).__name__
