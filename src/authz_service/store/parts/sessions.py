"""Sessions, listed, searched, taken up and ended, and the results that they keep: that part of the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from authz_service.audit.draft import EntryDraft
from authz_service.core.live_sessions import ToEnd
from authz_service.core.pages import Page
from authz_service.core.sessions import Session, SessionQuery, TakenUp
from authz_service.store import kept_rows, live_sessions, recovery, search_index, session_queries, taking_up
from authz_service.store.parts.units import SqlUnits
from authz_service.store.recovery import Heritage
from authz_service.store.signed_head import PROOF_SECONDS


class SqlSessions(SqlUnits):
    """The sessions of all processes, and whose what they keep is."""

    _heritage: Heritage
    _size_at_start: int

    async def sessions(self, query: SessionQuery) -> Page[Session]:
        """See `Store.sessions`."""
        return await self._read(lambda reader: session_queries.list_sessions(reader, query))

    async def session(self, session_id: str) -> Session | None:
        """See `Store.session`."""
        return await self._read(lambda reader: session_queries.session(reader, session_id))

    async def some_sessions(self, names: Sequence[str]) -> Sequence[Session]:
        """Those of these sessions that are there, in this order; some hundred at most."""
        return await self._read(lambda reader: session_queries.some_sessions(reader, names))

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        """See `Store.take_up`."""
        return await self._writer.run(lambda t: taking_up.take_up(t, session_id, stream))

    async def recover(self) -> int:
        """See `Store.recover`; sessions that began after this store was opened are left alone."""
        total = 0
        while ended := await self._writer.run(
            lambda t: recovery.recover(t, heritage=self._heritage, up_to=self._size_at_start)
        ):
            total += ended
        return total

    async def kill(self, session_id: str, entry: EntryDraft) -> Session:
        """See `LiveSessions.kill`."""
        return await self._writer.run(lambda t: live_sessions.kill(t, session_id, entry))

    async def to_end(self, running: Collection[str]) -> Sequence[ToEnd]:
        """See `LiveSessions.to_end`."""
        return await self._read(lambda t: live_sessions.to_end(t, running))

    async def owned(self, names: Collection[str], owner: str) -> bool:
        """See `KeptStore.owned`."""
        return await self._read(lambda reader: kept_rows.owned(reader, names, owner))

    async def index_step(self, *, has_texts: bool, most: int = search_index.ENTRIES_AT_ONCE) -> bool:
        """Take the next entries into the search index, `most` of them; True while there may be more.

        With `has_texts` what was asked and answered can be searched; without, nothing of it is in the index.
        Who records waits for a step: many entries at once are for a store that nobody uses yet.
        """
        found = await self._read(
            lambda reader: search_index.next_step(reader, has_texts=has_texts, most=most),
            patience=PROOF_SECONDS,
        )
        if found is None:
            return False
        await self._writer.run(lambda t: search_index.take(t, found), size=found.size)
        return True
