"""An issuer's keys, fetched so that no caller with a known key waits for its server.

One fetch at a time; refreshed ahead of need; the last good keys kept while the issuer is away; tokens
with unknown key ids cause at most one fetch in 30 seconds, since anybody can send such tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from authz_service.identity.download import reason
from authz_service.identity.key_sources import LONGEST_OUTAGE, no_keys, only_key
from authz_service.identity.keys import VerifyingKey, select

REFRESH_AFTER = 300.0
"""Seconds until keys are fetched again, where the server does not say how long they are fresh."""
SHORTEST_REFRESH, LONGEST_REFRESH = 60.0, 900.0
"""The bounds of what it may say: a key that was withdrawn must not stay good for long."""
RETRY_AFTER = 30.0
"""Seconds between fetches that unknown key ids cause, and between attempts while the issuer is away."""
FIRST_RETRY_AFTER = 2.0
"""The same while there are no keys at all, so that a service that started first recovers soon."""
UNKNOWN_FOR = 60.0
"""Seconds for which a key id that was asked for in vain is not asked for again."""
MOST_UNKNOWN = 1_000
LONGEST_FETCH = 10.0
LONGEST_WAIT, SECOND_LOOK = 2.0, 1.0
"""Seconds that a caller waits to have a key, and for another when that was not the one; Envoy waits five."""

log = structlog.get_logger()
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Fetched:
    """Keys as an issuer published them; `fresh_for` is what it said of that, in seconds.

    `date` is its clock, as HTTP writes it; "" where it is not known.
    """

    keys: tuple[VerifyingKey, ...]
    fresh_for: float | None = None
    date: str = ""


class KeyServer(Protocol):
    """Where keys are fetched from. `fetch` may raise anything; `url` names it in the log."""

    url: str

    async def fetch(self) -> Fetched: ...


class KeyCache:
    """A `KeySource` over a server. `clock` is in seconds, monotonic; so is `longest_outage`."""

    def __init__(
        self,
        server: KeyServer,
        *,
        longest_outage: float = LONGEST_OUTAGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._longest_outage = longest_outage
        self._clock = clock
        self._keys: dict[VerifyingKey, None] = {}
        self._refresh_after = REFRESH_AFTER
        self._fetched_at = _NEVER
        self._tried_at = _NEVER
        self._attempted_at = _NEVER
        self._asked_at = _NEVER
        self._fetch: asyncio.Task[None] | None = None
        self._unknown: dict[str, float] = {}

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        before, until = self._fetched_at, _latest()
        await self._attend(until)
        if kid is not None and not select(self._keys, kid, algorithm) and self._fetched_at == before:
            await self._look_for(kid, algorithm, until)
        return only_key(self._keys, kid, algorithm)

    async def successor(self, key: VerifyingKey, kid: str | None, algorithm: str) -> VerifyingKey | None:
        # Some issuers have no key ids, or give a new key the id of the old one.
        if await self._look_anew(_latest(SECOND_LOOK)):
            found = select(self._keys, kid, algorithm)
            return found[0] if len(found) == 1 and found[0] != key else None
        return None

    def has(self, key: VerifyingKey) -> bool:
        if self._is_unattended():
            return False
        self._refresh_if_due()
        return self._has_keys() and key in self._keys  # a dictionary: there may be a hundred

    async def stands_by(self, digest: str) -> bool:
        await self._attend(_latest())
        return any(key.digest == digest for key in self._keys)

    async def warm(self) -> None:
        await self._get(_latest())

    async def close(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    async def _attend(self, until: float) -> None:
        """Have keys that are as good as can be had without keeping those waiting who need no more."""
        await self._get(until)
        if self._is_unattended():
            await self._refreshed(until)
        self._refresh_if_due()

    async def _get(self, until: float) -> None:
        if self._has_keys():
            return
        if self._is_fetching() or self._since(self._tried_at) >= FIRST_RETRY_AFTER:
            await self._refreshed(until)
        if not self._has_keys():
            raise no_keys()

    def _has_keys(self) -> bool:
        return self._since(self._fetched_at) <= self._longest_outage

    def _since(self, moment: float) -> float:
        return self._clock() - moment

    def _is_fetching(self) -> bool:
        return self._fetch is not None and not self._fetch.done()

    def _is_unattended(self) -> bool:
        """Nobody asked for so long that no refresh was even tried: what is known may be long withdrawn."""
        return self._since(max(self._fetched_at, self._attempted_at)) >= 2 * self._refresh_after

    def _refresh_if_due(self) -> None:
        is_due = self._since(self._fetched_at) >= self._refresh_after
        if is_due and self._since(self._tried_at) >= RETRY_AFTER:
            self._start_fetch()

    async def _look_for(self, kid: str, algorithm: str, until: float) -> None:
        """See whether the issuer has a key with this id by now, if that may be asked."""
        if self._clock() < self._unknown.get(kid, _NEVER):
            return
        is_joining, before = self._is_fetching(), self._fetched_at
        if not await self._look_anew(until) or select(self._keys, kid, algorithm):
            return
        if self._is_fetching():
            raise no_keys()  # whether the issuer has this key is not known yet
        if self._fetched_at > before and not is_joining:  # what was joined may be older than the key
            self._remember_unknown(kid)

    async def _look_anew(self, until: float) -> bool:
        """Fetch for the sake of a token, or join a fetch; once in a while, whoever asks."""
        if not self._is_fetching():
            if self._since(self._asked_at) < RETRY_AFTER:
                return False
            self._asked_at = self._clock()
        await self._refreshed(until)
        return True

    def _remember_unknown(self, kid: str) -> None:
        self._unknown.pop(kid, None)
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = self._clock() + UNKNOWN_FOR

    async def _refreshed(self, until: float) -> None:
        """Wait for a fetch, not for ever; it goes on for the others when a caller gives up."""
        patience = max(0.0, until - asyncio.get_running_loop().time())
        await asyncio.wait([self._start_fetch()], timeout=patience)

    def _start_fetch(self) -> asyncio.Task[None]:
        if self._fetch is None or self._fetch.done():
            self._tried_at = self._clock()
            self._fetch = asyncio.create_task(self._run(), name="jwks")
        return self._fetch

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_FETCH):
                fetched = await self._server.fetch()
        except Exception as error:  # of whatever kind: the last keys stay, and those who wait are told
            log.warning("jwks.unavailable", host=urlsplit(self._server.url).netloc, reason=reason(error))
            return
        finally:
            self._attempted_at = self._clock()
        self._keys, self._fetched_at = dict.fromkeys(fetched.keys), self._clock()
        fresh_for = REFRESH_AFTER if fetched.fresh_for is None else fetched.fresh_for
        self._refresh_after = min(max(fresh_for, SHORTEST_REFRESH), LONGEST_REFRESH)


def _latest(patience: float | None = None) -> float:
    """Until when whoever comes now may be kept waiting, by the event loop's clock."""
    return asyncio.get_running_loop().time() + (LONGEST_WAIT if patience is None else patience)
