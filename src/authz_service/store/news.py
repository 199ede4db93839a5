"""Says at once which holds have changed: to this process, and on PostgreSQL to all others.

It only saves time. Whoever listens asks the store at intervals too, which is the truth: a word may be lost
with a connection, and none is ever needed for something to happen.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence

import psycopg
import structlog
from sqlalchemy import URL

log = structlog.get_logger(__name__)

CHANNEL = "authz_holds"
IDS_AT_ONCE = 200  # a payload of PostgreSQL's NOTIFY has 8,000 bytes at most
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
ALIVE_SECONDS = 30.0
"""How often a silent connection is asked whether it is still there."""

Tell = Callable[[Collection[str]], None]


class HoldNews:
    """Who wants to know. `tell` may be called in any thread; each is told in its own event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: list[tuple[asyncio.AbstractEventLoop, Tell]] = []

    def subscribe(self, tell: Tell) -> None:
        """Have `tell` called, in the loop that runs now, with the ids of holds that changed."""
        with self._lock:
            self._told.append((asyncio.get_running_loop(), tell))

    def tell(self, holds: Collection[str]) -> None:
        """These changed; what a loop that has ended is not told of, nobody there waits for."""
        with self._lock:
            told = list(self._told)
        for loop, tell in told:
            try:
                loop.call_soon_threadsafe(tell, holds)
            except RuntimeError:
                with self._lock:
                    self._told.remove((loop, tell))


def payloads(holds: Collection[str]) -> Sequence[str]:
    """The ids as NOTIFY carries them."""
    ids = list(holds)
    return [",".join(ids[start : start + IDS_AT_ONCE]) for start in range(0, len(ids), IDS_AT_ONCE)]


async def listen(url: URL, news: HoldNews) -> None:
    """Pass on what other processes say, on a connection of its own that is made anew when it breaks.

    Until cancelled. A pooler in transaction mode lets nobody listen and says nothing of it: that is found
    out by speaking to oneself, and logged.
    """
    pause = FIRST_PAUSE
    is_known_deaf = False
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(_conninfo(url), autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                if not await _hears_itself(connection, news) and not is_known_deaf:
                    is_known_deaf = True
                    log.warning(
                        "holds.no_notifications",
                        note="the database's address leads to a pooler in transaction mode: decisions are"
                        " found by asking, a quarter of a second later; use a direct address",
                    )
                pause = FIRST_PAUSE
                await _follow(connection, news)
        except (psycopg.Error, OSError) as error:
            log.info("holds.notifications_away", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _hears_itself(connection: psycopg.AsyncConnection[tuple[object, ...]], news: HoldNews) -> bool:
    await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
    heard = False
    async for notification in connection.notifies(timeout=2.0, stop_after=1):
        heard = True
        _pass_on(notification.payload, news)
    return heard


async def _follow(connection: psycopg.AsyncConnection[tuple[object, ...]], news: HoldNews) -> None:
    while True:
        async for notification in connection.notifies(timeout=ALIVE_SECONDS):
            _pass_on(notification.payload, news)
        await connection.execute("SELECT 1")


def _pass_on(payload: str, news: HoldNews) -> None:
    if payload:
        news.tell(payload.split(","))


def _conninfo(url: URL) -> str:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.conninfo.make_conninfo(plain, application_name="authz listener", connect_timeout=5)
