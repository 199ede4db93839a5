"""Ends the exchanges of this process that an operator has ended, on whatever replica that was asked."""

from __future__ import annotations

import asyncio

from authz_service.core.events import Killed
from authz_service.core.live_sessions import LiveSessions
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.mishaps import Mishaps

POLL_SECONDS = 0.5


async def follow_kills(store: LiveSessions, gateway: Gateway, *, every: float = POLL_SECONDS) -> None:
    """Ask the store until cancelled. What has ended by itself meanwhile is left alone."""
    mishaps = Mishaps("kills.follow_failed")
    while True:
        await asyncio.sleep(every)
        try:
            for item in await store.to_end(frozenset(gateway.running)):
                end = gateway.running.get(item.session)
                if end is not None:
                    end(Killed(item.reason))
            mishaps.over()
        except Exception as error:  # whatever one row has, the service must not end with it
            mishaps.say(error)  # where the store is away, nothing is released either
