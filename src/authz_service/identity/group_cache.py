"""What a directory said about people's groups, kept for a while, so that few requests wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from authz_service.errors import Misconfigured
from authz_service.identity.claims import is_unverified
from authz_service.identity.directory import Directory, Unusable
from authz_service.identity.download import NotServed, reason
from authz_service.view.caller import Caller

MOST_PEOPLE = 10_000
AT_ONCE = 8
"""Lookups at a time; who comes above that waits for a turn."""
LONGEST_WAIT = 1.5
"""Seconds that a request waits; Envoy waits five for the whole of Check, keys included."""
LONGEST_LOOKUP = 15.0
UNKNOWN_FOR = 60.0
"""Seconds for which nobody asks again for a person of whom the directory says nothing."""
SHORTEST_PAUSE, PAUSE, LONGEST_PAUSE = 1.0, 5.0, 300.0
"""Seconds without a question after one that failed; the directory may say how many."""

log = structlog.get_logger()
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class _Known:
    groups: tuple[str, ...] | None
    at: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """Completes callers by what the directory says; `member` is the claim that names a person to it.

    `is_email_trusted`: an `email` counts without `email_verified`, as in `PersonClaim`.
    """

    cache: GroupCache
    member: str
    is_email_trusted: bool = False

    async def completed(self, caller: Caller) -> Caller:
        """The caller with all groups, or unchanged where these cannot be had."""
        member = caller.claims.get(self.member)
        if not isinstance(member, str) or not member:
            return caller
        if is_unverified(self.member, caller.claims, is_trusted=self.is_email_trusted):
            return caller
        groups = await self.cache.groups_of(member)
        return caller if groups is None else replace(caller, groups=groups, groups_complete=True)


class GroupCache:
    """Asks `directory`, once for all that ask for the same person at the same time.

    An answer counts for `fresh` seconds, and is asked for again in the background in the second half of
    them; when asking fails it counts for `stale` more. `clock` is in seconds, monotonic.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        fresh: float,
        stale: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._fresh = fresh
        self._stale = stale
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._paused_until = _NEVER

    async def groups_of(self, member: str) -> tuple[str, ...] | None:
        """All groups of a person; None while they are not known."""
        known = self._known.get(member)
        age = self._clock() - known.at if known else float("inf")
        if known and known.groups is None and age < UNKNOWN_FOR:
            return None
        if known and known.groups is not None and age < self._fresh:
            if age >= self._fresh / 2:
                self._ask(member)
            return known.groups
        asking = self._ask(member)
        if asking is not None:
            # Not cancelled when this caller is: others may wait for it too.
            await asyncio.wait([asking], timeout=LONGEST_WAIT)
        return self._last(member)

    async def close(self) -> None:
        """End what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _last(self, member: str) -> tuple[str, ...] | None:
        known = self._known.get(member)
        if known is None or self._clock() - known.at >= self._fresh + self._stale:
            return None
        return known.groups

    def _ask(self, member: str) -> asyncio.Task[None] | None:
        if member not in self._asking:
            if self._clock() < self._paused_until or len(self._asking) >= MOST_PEOPLE:
                return None
            self._asking[member] = asyncio.create_task(self._run(member), name="groups")
        return self._asking[member]

    async def _run(self, member: str) -> None:
        try:
            async with self._turns:
                if self._clock() < self._paused_until:
                    return
                async with asyncio.timeout(LONGEST_LOOKUP):
                    self._remember(member, await self._directory.groups_of(member))
        except Unusable as error:
            log.info("groups.unusable", reason=str(error))
            self._remember(member, None)
        except Exception as error:  # of whatever kind: what was known stays, and the rest is unknown
            wished = error.retry_after if isinstance(error, NotServed) and error.retry_after else PAUSE
            self._paused_until = self._clock() + min(max(wished, SHORTEST_PAUSE), LONGEST_PAUSE)
            why = str(error) if isinstance(error, Misconfigured) else reason(error)
            log.warning("groups.unavailable", reason=why)
        finally:
            del self._asking[member]

    def _remember(self, member: str, groups: tuple[str, ...] | None) -> None:
        self._known.pop(member, None)
        if len(self._known) >= MOST_PEOPLE:
            del self._known[next(iter(self._known))]
        self._known[member] = _Known(groups, self._clock())
