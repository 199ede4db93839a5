"""Follows holds for one person: what is open now, then every change, without a gap in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from authz_service.core.ports import HoldChange, HoldQuery, HoldState, HoldSummary, Store
from authz_service.errors import Unauthenticated, Unavailable, Unreadable
from authz_service.servers.review_feed import HoldFeed
from authz_service.servers.roles import Standing

_OPEN = (HoldState.PENDING, HoldState.APPROVED)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One message to who watches. `cursor` is empty within the snapshot; `hold` None moves it only.

    `as_of` is the store's clock when this was read; `waiting` counts who waits for the hold. `damaged` are
    the ids of holds that cannot be read; they come where there is no hold.
    """

    cursor: str
    as_of: float
    hold: HoldSummary | None = None
    waiting: int = 0
    ends_snapshot: bool = False
    damaged: tuple[str, ...] = ()


async def watch_holds(
    store: Store, feed: HoldFeed, standing: Standing, *, after: int | None, clock: Callable[[], float]
) -> AsyncIterator[Told]:
    """Raises `Unauthenticated` when the token expires, `Unreadable` for a cursor from elsewhere.

    The cursor is taken before the snapshot is read: a change in between is told twice, never lost.
    """
    cursor = await feed.cursor()
    if after is None:
        unread: list[str] = []
        async for told in _open_holds(store, standing, unread):
            _require_live(standing, clock)
            yield told
        yield Told(str(cursor), await store.now(), ends_snapshot=True, damaged=tuple(unread))
    elif after > cursor:
        raise Unreadable("this cursor is ahead of this server; watch without one", code="foreign_cursor")
    else:
        cursor = after
    while True:
        changes = await _next_changes(feed, cursor, standing, clock)
        cursor = changes[-1].cursor
        names = [change.hold for change in changes]
        known, waiting, now = await store.summaries(names), await store.waiting_for(names), await store.now()
        for change in changes:
            changed = known.get(change.hold)
            _require_live(standing, clock)
            if isinstance(changed, HoldSummary) and standing.sees(changed):
                yield Told(str(change.cursor), now, changed, waiting.get(change.hold, 0))
        damaged = tuple(name for name, hold in known.items() if isinstance(hold, Unavailable))
        yield Told(str(cursor), now, damaged=damaged)


async def _open_holds(store: Store, standing: Standing, unread: list[str]) -> AsyncIterator[Told]:
    """Those that this person may see; `unread` gets the ids of those that nobody can."""
    token = ""
    while True:
        page = await store.holds(HoldQuery(states=_OPEN, page_size=_PAGE, page_token=token))
        unread += page.damaged
        seen = [hold for hold in page.items if standing.sees(hold)]
        waiting, now = await store.waiting_for([hold.id for hold in seen]), await store.now()
        for hold in seen:
            yield Told("", now, hold, waiting.get(hold.id, 0))
        token = page.next_page_token
        if not token:
            return


async def _next_changes(
    feed: HoldFeed, cursor: int, standing: Standing, clock: Callable[[], float]
) -> list[HoldChange]:
    try:
        async with asyncio.timeout(standing.person.expires_at - clock()):
            return await feed.changes(cursor)
    except TimeoutError:
        raise _expired() from None


def _require_live(standing: Standing, clock: Callable[[], float]) -> None:
    if clock() >= standing.person.expires_at:
        raise _expired()


def _expired() -> Unauthenticated:
    return Unauthenticated("the token has expired; watch on with a new one", code="token_expired")
