"""Holds, their votes and what reviewers did to them: that part of the `Store` of core/ports."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft
from authz_service.core.ballots import Ballot
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Opening
from authz_service.core.pages import Page
from authz_service.core.stored_holds import (
    Hold,
    HoldChange,
    HoldDraft,
    HoldLimits,
    HoldQuery,
    HoldsNow,
    HoldState,
    HoldSummary,
)
from authz_service.errors import AuthzError, Unavailable
from authz_service.store import acting, ending, live_sessions, opening, queries, turning, voting
from authz_service.store.hold_ages import HoldAges, hold_ages
from authz_service.store.parts.units import SqlUnits, payload_bytes


class SqlHolds(SqlUnits):
    """Opens, decides, uses and lists holds."""

    _named: set[str]
    """Damaged holds that the log has named."""

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        """See `Store.open_hold`."""
        size = payload_bytes(draft.entries) + len(draft.forward)
        return await self._writer.run(lambda t: opening.open_hold(t, draft, limits), size=size)

    async def settle(self, *drafts: EntryDraft, hold: str, session: str) -> None:
        """See `Store.settle`."""
        size = payload_bytes(drafts)
        await self._writer.run(lambda t: ending.settle(t, drafts, hold, session=session), size=size)

    async def attach_answer(self, wanted: AnswerWanted) -> Attached | AlreadyRejected | None:
        """See `Store.attach_answer`."""
        return await self._writer.run(
            lambda t: opening.attach_answer(t, wanted), size=payload_bytes(wanted.entries)
        )

    async def hold(self, hold_id: str) -> Hold | None:
        """See `Store.hold`."""
        return await self._read(lambda reader: queries.hold(reader, hold_id))

    async def summaries(self, holds: Collection[str]) -> Mapping[str, HoldSummary | Unavailable]:
        """See `Store.summaries`."""
        return await self._read(lambda reader: queries.summaries(reader, holds)) if holds else {}

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        """See `Store.holds_now`."""
        return await self._read(lambda reader: queries.holds_now(reader, holds))

    async def held_bytes(self, holds: Collection[str]) -> Mapping[str, bytes]:
        """See `Store.held_bytes`."""
        return await self._read(lambda reader: queries.held_bytes(reader, holds)) if holds else {}

    async def vote(self, ballot: Ballot, limits: HoldLimits) -> HoldSummary:
        """See `Store.vote`."""
        (outcome,) = await self.vote_all([ballot], limits)
        if isinstance(outcome, AuthzError):
            raise outcome
        return outcome

    async def vote_all(
        self, ballots: Sequence[Ballot], limits: HoldLimits
    ) -> Sequence[HoldSummary | AuthzError]:
        """See `Store.vote_all`."""
        vote_ids = [uuid.uuid4().hex for _ in ballots]
        return await self._writer.run(
            lambda t: voting.vote_all(t, ballots, limits, vote_ids=vote_ids),
            size=sum(len(ballot.reason) for ballot in ballots),
        )

    async def act(self, draft: ActDraft, limits: HoldLimits) -> HoldSummary:
        """See `Store.act`."""
        act_id = uuid.uuid4().hex
        size = len(draft.text)
        if draft.revision is not None:
            size += len(draft.revision.forward) + len(draft.revision.changes)
        return await self._writer.run(lambda t: acting.act(t, draft, limits, act_id=act_id), size=size)

    async def act_with_key(self, hold_id: str, person: tuple[str, str], key: str) -> Act | None:
        """See `Store.act_with_key`."""
        return await self._read(lambda reader: queries.act_with_key(reader, hold_id, person, key))

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        """See `Store.consume`."""
        return await self._writer.run(
            lambda t: ending.consume(t, hold_id, digest=digest, session=session, entries=entries),
            size=payload_bytes(entries),
        )

    async def expire_overdue(self) -> int:
        """See `Store.expire_overdue`."""
        total = 0
        while swept := await self._writer.run(lambda t: ending.expire_overdue(t, self._named)):
            total += swept
        while turned := await self._writer.run(lambda t: turning.take_all(t, self._named)):
            total += turned
        return total

    async def hold_changes(self, after: int) -> Sequence[HoldChange]:
        """See `Store.hold_changes`."""
        return await self._read(lambda reader: queries.hold_changes(reader, after))

    async def hold_states(self, holds: Collection[str]) -> Mapping[str, HoldState]:
        """See `Store.hold_states`."""
        return await self._read(lambda reader: queries.hold_states(reader, holds)) if holds else {}

    async def hold_ages(self, bounds: Sequence[float]) -> HoldAges:
        """How long pending holds have waited, by these bounds in seconds."""
        return await self._read(lambda reader: hold_ages(reader, bounds))

    async def holds(self, query: HoldQuery) -> Page[HoldSummary]:
        """See `Store.holds`."""
        return await self._read(lambda reader: queries.list_holds(reader, query))

    async def waiting_for(self, holds: Collection[str]) -> Mapping[str, int]:
        """See `Store.waiting_for`."""
        return await self._read(lambda reader: live_sessions.waiting_for(reader, holds))
