"""Follows holds for one person: what is open now, then every change, without a gap in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from authz_service.core.acts import Review
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldChange, HoldQuery, HoldState, HoldSummary
from authz_service.errors import Unauthenticated, Unavailable, Unreadable
from authz_service.servers.review_feed import HoldFeed
from authz_service.servers.roles import Standing

_OPEN = (HoldState.PENDING, HoldState.APPROVED)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Told:
    """One message to who watches. `cursor` is empty within the snapshot; `hold` None moves it only.

    `as_of` is the store's clock when this was read; `waiting` counts who waits for the hold. `damaged` are
    the ids of holds that cannot be read; they come where there is no hold. `gone` is the id of one that this
    person was told of, and may not see any more.
    """

    cursor: str
    as_of: float
    hold: HoldSummary | None = None
    waiting: int = 0
    ends_snapshot: bool = False
    damaged: tuple[str, ...] = ()
    gone: str = ""


async def watch_holds(
    store: Store,
    feed: HoldFeed,
    standing: Standing,
    *,
    after: int | None,
    clock: Callable[[], float],
    known: Sequence[str] = (),
) -> AsyncIterator[Told]:
    """Raises `Unauthenticated` when the token expires, `Unreadable` for a cursor from elsewhere, and
    `Forbidden` once the person has no role any more.

    The cursor is taken before the snapshot is read: a change in between is told twice, never lost. `known`
    are the ids of holds that this person was told of before.
    """
    cursor = await feed.cursor()
    mine: set[str] = set()  # what was told and may cease to be theirs
    if after is None:
        unread: list[str] = []
        async for told in _open_holds(store, standing, unread):
            _require_live(standing, clock)
            mine.update(() if told.hold is None else (told.hold.id,))
            yield told
        yield Told(str(cursor), await store.now(), ends_snapshot=True, damaged=tuple(unread))
    elif after > cursor and after > await store.last_sequence():  # the feed moves with holds alone
        raise Unreadable("this cursor is ahead of this server; watch without one", code="foreign_cursor")
    else:
        cursor = after
    async for told in _gone(store, standing, [name for name in known if name not in mine], mine):
        _require_live(standing, clock)
        yield replace(told, cursor=str(cursor))
    while True:
        changes = await _next_changes(feed, cursor, standing, clock)
        cursor = changes[-1].cursor
        standing = Standing.of(standing.person, standing.roles)  # by the configuration of now
        names = [change.hold for change in changes]
        found, waiting, now = await store.summaries(names), await store.waiting_for(names), await store.now()
        for change in changes:
            changed = found.get(change.hold)
            _require_live(standing, clock)
            if isinstance(changed, HoldSummary) and standing.sees(changed):
                _remember(mine, changed)
                yield Told(str(change.cursor), now, changed, waiting.get(change.hold, 0))
            elif isinstance(changed, HoldSummary) and change.hold in mine:
                mine.discard(change.hold)
                yield Told(str(change.cursor), now, gone=change.hold)
        damaged = tuple(name for name, hold in found.items() if isinstance(hold, Unavailable))
        yield Told(str(cursor), now, damaged=damaged)


async def _gone(
    store: Store, standing: Standing, names: Sequence[str], mine: set[str]
) -> AsyncIterator[Told]:
    """Those of `names` that this person may not see (any more); `mine` gets those that they may."""
    for start in range(0, len(names), _PAGE):
        some = names[start : start + _PAGE]
        found, now = await store.summaries(some), await store.now()
        for name in some:
            hold = found.get(name)
            if isinstance(hold, HoldSummary) and standing.sees(hold):
                _remember(mine, hold)
            elif not isinstance(hold, Unavailable):
                yield Told("", now, gone=name)


def _remember(mine: set[str], hold: HoldSummary) -> None:
    """What is over, and reviewed, stays theirs: nobody has to do anything about it."""
    may_change = hold.state in _OPEN or hold.review is Review.DUE
    (mine.add if may_change else mine.discard)(hold.id)


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
