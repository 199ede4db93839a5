"""Follows the record entry by entry, without a gap, for one auditor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from authz_service.core.live_sessions import LiveSessions
from authz_service.core.sessions import Entry
from authz_service.errors import Unreadable
from authz_service.servers.review_calls import Calls
from authz_service.view.caller import Caller


async def follow(
    store: LiveSessions,
    calls: Calls,
    person: Caller,
    *,
    session: str,
    after: int | None,
    every: float,
    is_stopping: Callable[[], bool],
) -> AsyncIterator[tuple[int, list[Entry]]]:
    """Entries with the number to go on after; without any whenever nothing came for `every` seconds.

    Raises `Unauthenticated` when the token ends or is withdrawn, `Unreadable` for a cursor from elsewhere.
    """
    last = await store.last_sequence()
    if after is not None and after > last:
        raise Unreadable("this cursor is ahead of this server; tail without one", code="foreign_cursor")
    at = last if after is None else after
    yield at, []
    while not is_stopping():
        calls.require_live(person)
        found = list(await store.entries_after(at, session))
        if found:
            at = found[-1].sequence
            yield at, found
        else:
            await asyncio.sleep(every)
