"""Holds, votes and acts in memory, as the review API of a test asks for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tests.servers.review_made import hold_of
from tests.servers.review_people import NOW

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft, ActKind, claim_of
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Approved, Expired, Pending, Rejected, Vote
from authz_service.core.limits import Admission, Demand
from authz_service.core.openings import AnswerWanted, Attached, Opened, Opening
from authz_service.core.pages import Item, Page
from authz_service.core.sessions import Session, TakenUp
from authz_service.core.standing import standing
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
from authz_service.errors import (
    AuthzError,
    Conflict,
    Forbidden,
    NotFound,
    Unavailable,
    Unreadable,
)

OPEN = (HoldState.PENDING, HoldState.APPROVED)


class MemoryHolds:
    """Holds, votes and what is on record. `time` is its clock; `is_away` makes it refuse."""

    def __init__(self) -> None:
        self.time = NOW
        self.is_away = False
        self.failure: Exception | None = None
        self.cursor = 0
        self.held: dict[str, Hold] = {}
        self.changed: dict[str, HoldChange] = {}
        self.by_key: dict[tuple[str, tuple[str, str], str], Vote] = {}
        self.recorded: list[EntryDraft] = []
        self.past: dict[str, Session] = {}

    def put(self, hold: Hold) -> Hold:
        """Set a hold as it is, as a change."""
        self.cursor += 1
        self.held[hold.id] = hold
        self.changed[hold.id] = HoldChange(self.cursor, hold.id, hold.state)
        return hold

    async def append(self, *drafts: EntryDraft) -> None:
        self._answer()
        self.recorded.extend(drafts)

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
        await self.append(*drafts)

    async def append_again(self, *drafts: EntryDraft) -> None:
        await self.append(*drafts)

    async def settle(self, *drafts: EntryDraft, hold: str, session: str) -> None:
        raise NotImplementedError("nothing of the review API asks this")

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        self._answer()
        for hold in self.held.values():
            if hold.fingerprint == draft.fingerprint and hold.state in OPEN:
                return Attached(hold)
        return Opened(self.put(hold_of(draft, at=self.time)))

    async def admit(self, demand: Demand, draft: EntryDraft) -> Admission:
        raise NotImplementedError("nothing of the review API asks this")

    async def owned(self, names: Collection[str], owner: str) -> bool:
        raise NotImplementedError("nothing of the review API asks this")

    async def attach_answer(self, wanted: AnswerWanted) -> None:
        raise NotImplementedError("nothing of the review API asks this")

    async def hold(self, hold_id: str) -> Hold | None:
        self._answer()
        hold = self.held.get(hold_id)
        return None if hold is None else self._now(hold)

    async def summaries(self, holds: Collection[str]) -> dict[str, HoldSummary]:
        self._answer()
        return {name: self._now(self.held[name]) for name in holds if name in self.held}

    async def holds_now(self, holds: Collection[str]) -> HoldsNow:
        self._answer()
        return HoldsNow({n: self._now(self.held[n]) for n in holds if n in self.held}, self.time)

    async def held_bytes(self, holds: Collection[str]) -> dict[str, bytes]:
        self._answer()
        return {name: self.held[name].forward for name in holds if name in self.held}

    async def vote(self, ballot: Ballot, limits: HoldLimits) -> Hold:
        self._answer()
        if ballot.hold not in self.held:
            raise NotFound("there is no such hold")
        hold = self._now(self.held[ballot.hold])
        key = (hold.id, ballot.voter, ballot.idempotency_key)
        if ballot.idempotency_key and key in self.by_key:
            return hold
        if ballot.voter == hold.caller.identity:
            raise Forbidden("nobody decides their own request", code="own_request")
        if hold.state is not HoldState.PENDING:
            by = ", ".join(vote.name for vote in hold.votes)
            raise Conflict(f"this hold is {hold.state}, decided by {by or 'nobody'}", code="already_decided")
        if ballot.digest != hold.digest:
            raise Conflict("the bytes have changed since they were shown", code="digest_changed")
        if not set(ballot.may_vote_in) & set(hold.open_stages):
            raise Forbidden("no open stage asks for your vote", code="no_open_stage")
        vote = Vote(
            id=f"vot_{len(self.by_key)}",
            voter=ballot.voter,
            verdict=ballot.verdict,
            digest=ballot.digest,
            at=self.time,
            counts_for=ballot.may_vote_in,
            name=ballot.name,
            reason=ballot.reason,
        )
        self.by_key[key] = vote
        return self.put(self._decided(replace(hold, votes=(*hold.votes, vote)), limits))

    async def vote_all(self, ballots: Sequence[Ballot], limits: HoldLimits) -> list[Hold | AuthzError]:
        self._answer()
        return [await self._vote_or_refusal(ballot, limits) for ballot in ballots]

    async def _vote_or_refusal(self, ballot: Ballot, limits: HoldLimits) -> Hold | AuthzError:
        try:
            return await self.vote(ballot, limits)
        except AuthzError as refused:
            return refused

    async def act(self, draft: ActDraft, limits: HoldLimits) -> Hold:
        self._answer()
        hold = self._now(self.held[draft.hold])
        until = self.time + limits.claim if draft.kind is ActKind.CLAIM else None
        made = Act(
            f"act_{len(hold.acts)}",
            draft.kind,
            draft.person,
            draft.account,
            draft.name,
            self.time,
            draft.text,
            (),
            until,
        )
        acts = (*hold.acts, made)
        claim = claim_of(acts, hold.votes, now=self.time)
        return self.put(replace(hold, acts=acts, claim=claim, version=hold.version + 1))

    async def act_with_key(self, hold_id: str, person: tuple[str, str], key: str) -> Act | None:
        self._answer()
        return None

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        self._answer()
        hold = self._now(self.held[hold_id])
        if hold.state is not HoldState.APPROVED or hold.digest != digest:
            return False
        self.put(replace(hold, state=HoldState.RELEASED, released_to=session, version=hold.version + 1))
        return True

    async def expire_overdue(self) -> int:
        self._answer()
        overdue = [hold for hold in self.held.values() if self._now(hold) is not hold]
        for hold in overdue:
            self.put(replace(self._now(hold), version=hold.version + 1))
        return len(overdue)

    async def hold_changes(self, after: int) -> Sequence[HoldChange]:
        self._answer()
        later = [change for change in self.changed.values() if change.cursor > after]
        return sorted(later, key=lambda change: change.cursor)[:3]

    async def hold_states(self, holds: Collection[str]) -> dict[str, HoldState]:
        return {hold: self._now(self.held[hold]).state for hold in holds if hold in self.held}

    async def take_up(self, session_id: str, stream: str) -> TakenUp:
        return TakenUp(is_recorded=session_id in {entry.session for entry in self.recorded}, is_ours=False)

    async def waiting_for(self, holds: Collection[str]) -> dict[str, int]:
        return {hold: 2 for hold in holds if hold == "hld_1"}

    async def holds(self, query: HoldQuery) -> Page[HoldSummary]:
        self._answer()
        found: list[HoldSummary] = [
            hold
            for hold in map(self._now, self.held.values())
            if (not query.states or hold.state in query.states)
            and hold.id.startswith(query.id_prefix)
            and query.caller in ("", hold.caller.subject)
            and query.model in ("", hold.model)
            and query.rule in ("", hold.rule)
        ]
        return page_of(sorted(found, key=lambda h: h.id, reverse=True), query.page_size, query.page_token)

    async def now(self) -> float:
        self._answer()
        return self.time

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self.is_away:
            raise Unavailable("the database is away")

    def _now(self, hold: Hold) -> Hold:
        if hold.state in OPEN and self.time >= hold.deadline:
            return replace(hold, state=HoldState.EXPIRED, open_stages=())
        return hold

    def _decided(self, hold: Hold, limits: HoldLimits) -> Hold:
        hold = replace(hold, version=hold.version + 1)
        match standing(hold.approvals, hold.votes, opened_at=hold.created_at, now=self.time):
            case Pending(open_stages, deadline):
                return replace(hold, open_stages=open_stages, deadline=deadline)
            case Approved(at):
                state, end = HoldState.APPROVED, at + limits.use_within
            case Rejected():
                state, end = HoldState.REJECTED, self.time + limits.rejection_answers
            case Expired(at):
                state, end = HoldState.EXPIRED, at
        return replace(hold, state=state, deadline=end, open_stages=())


def page_of(items: Sequence[Item], size: int, token: str) -> Page[Item]:
    if token and not token.isdigit():
        raise Unreadable("this is no page token of this list", code="foreign_page_token")
    start = int(token or 0)
    end = start + size
    return Page(tuple(items[start:end]), str(end) if end < len(items) else "")
