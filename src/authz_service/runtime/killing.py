"""Ends the exchanges of this process that an operator has ended, on whatever replica that was asked."""

from __future__ import annotations

import asyncio

from authz_service.core.events import Killed
from authz_service.core.live_sessions import LiveSessions
from authz_service.errors import AuthzError
from authz_service.runtime.gateway import Gateway

POLL_SECONDS = 0.5


async def follow_kills(store: LiveSessions, gateway: Gateway, *, every: float = POLL_SECONDS) -> None:
    """Ask the store until cancelled. What has ended by itself meanwhile is left alone."""
    while True:
        await asyncio.sleep(every)
        try:
            for item in await store.to_end(frozenset(gateway.running)):
                end = gateway.running.get(item.session)
                if end is not None:
                    end(Killed(item.reason))
        except AuthzError:
            continue  # the store is away, and so nothing is released either
