"""A store in memory, and an index, that the review API of a test asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tests.servers.memory_holds import MemoryHolds, page_of

from authz_service.audit.draft import EntryDraft
from authz_service.core.live_sessions import ToEnd
from authz_service.core.pages import Page
from authz_service.core.sessions import Entry, Session, SessionQuery
from authz_service.errors import (
    Conflict,
    NotFound,
)


class MemoryStore(MemoryHolds):
    """Holds, votes, sessions and entries in memory."""

    async def sessions(self, query: SessionQuery) -> Page[Session]:
        self._answer()
        found = [
            session
            for session in self.past.values()
            if session.id.startswith(query.id_prefix)
            and query.caller in ("", session.caller.subject if session.caller else "")
            and query.decision in ("", session.decision)
            and (query.since is None or session.started_at >= query.since)
            and (query.until is None or session.started_at < query.until)
            and query.group in ("", *(session.caller.groups if session.caller else ()))
            and query.text in ("", session.rule)
        ]
        return page_of(sorted(found, key=lambda s: s.id, reverse=True), query.page_size, query.page_token)

    async def session(self, session_id: str) -> Session | None:
        self._answer()
        return self.past.get(session_id)

    async def entries(self, session_id: str) -> Sequence[Entry]:
        self._answer()
        return [
            Entry(number, draft.kind, self.time, session_id, draft.data, draft.payloads, b"{}")
            for number, draft in enumerate(self.recorded, 1)
            if draft.session == session_id
        ]

    async def some_sessions(self, names: Sequence[str]) -> Sequence[Session]:
        self._answer()
        return [self.past[name] for name in names if name in self.past]

    async def some_entries(self, names: Sequence[str], *, most: int) -> Sequence[Sequence[Entry]]:
        read: list[Sequence[Entry]] = []
        size = 0
        for name in names:
            read.append(await self.entries(name))
            size += sum(len(body) for entry in read[-1] for body in entry.payloads.values())
            if size >= most:
                break
        return read

    async def kill(self, session_id: str, entry: EntryDraft) -> Session:
        self._answer()
        if session_id not in self.past:
            raise NotFound("there is no such session", code="session_not_found")
        if self.past[session_id].ended_at is not None:
            raise Conflict("this session has ended before", code="session_ended")
        self.recorded.append(entry)
        self.past[session_id] = replace(self.past[session_id], status="killing")
        return self.past[session_id]

    async def to_end(self, running: Collection[str]) -> Sequence[ToEnd]:
        self._answer()
        marked = (s.id for s in self.past.values() if s.status == "killing")
        return [ToEnd(name, "because") for name in marked if name in running]

    async def policy_file(self, digest: str) -> bytes | None:
        self._answer()
        files = [
            d.payloads["file"]
            for d in self.recorded
            if d.data.get("policy") == digest and "file" in d.payloads
        ]
        return files[-1] if files else None

    async def last_sequence(self) -> int:
        self._answer()
        return len(self.recorded)

    async def entries_after(self, sequence: int, session: str = "") -> Sequence[Entry]:
        self._answer()
        later = list(enumerate(self.recorded, 1))[sequence:]
        return [
            Entry(n, d.kind, self.time, d.session, d.data, d.payloads if session else {}, b"{}")
            for n, d in later
            if session in ("", d.session)
        ][:3]

    async def recover(self) -> int:
        return 0


@dataclass
class MemoryIndex:
    """An index of whatever is said; `is_current` is what it answers."""

    has_texts: bool = True
    is_current: bool = True
    asked: int = 0

    async def refresh(self) -> bool:
        self.asked += 1
        return self.is_current
