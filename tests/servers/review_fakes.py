"""Stand-ins with behaviour for what the review API talks to, and a server of them in a thread."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import Act, ActDraft, ActKind, claim_of
from authz_service.core.ballots import Ballot
from authz_service.core.holds import (
    Approval,
    Approved,
    Expired,
    Pending,
    Rejected,
    Stage,
    StageRef,
    Vote,
    standing,
)
from authz_service.core.limits import Admission, Demand
from authz_service.core.live_sessions import ToEnd
from authz_service.core.pages import Item, Page
from authz_service.core.ports import (
    AnswerWanted,
    Attached,
    Hold,
    HoldChange,
    HoldDraft,
    HoldLimits,
    HoldQuery,
    HoldsNow,
    HoldState,
    HoldSummary,
    Opened,
    Opening,
)
from authz_service.core.sessions import Entry, Session, SessionQuery, TakenUp
from authz_service.errors import (
    AuthzError,
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unreadable,
)
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_calls import Calls, ReviewVerifier, nothing_withdrawn
from authz_service.servers.review_keys import KeyReview
from authz_service.servers.review_logins import LoginReview
from authz_service.servers.review_tokens import TokenReview
from authz_service.view.caller import Caller

Result = TypeVar("Result")
NOW = 1_795_000_000.0
OPEN = (HoldState.PENDING, HoldState.APPROVED)


def person(name: str, *groups: str, expires_at: float = NOW + 3600) -> Caller:
    """Someone of the test's only issuer."""
    return Caller("https://issuer.test", name, expires_at, groups)


PEOPLE = {
    "alice": person("alice", "contractors"),
    "rita": person("rita", "reviewers", "security"),
    "olga": person("olga", "operators"),
    "rob": person("rob", "reviewers", "security"),
    "lea": person("lea", "reviewers", "legal"),
    "ada": person("ada", "auditors"),
    "oda": person("oda", "officers"),
    "pia": person("pia", "auditors", "originals"),
    "ina": person("ina", "reviewers", "originals"),
    "bob": person("bob", "staff"),
}
SECURITY = Approval("security", (Stage("security", 1, 1800.0),))


@dataclass
class People:
    """Tokens are `token-NAME`."""

    known: dict[str, Caller] = field(default_factory=lambda: dict(PEOPLE))
    seen: list[str] = field(default_factory=list)

    async def verify_review(self, token: str) -> Caller:
        self.seen.append(token)
        name = token.removeprefix("token-")
        if token == name or name not in self.known:
            raise Unauthenticated("the signature of the token is not valid")
        return self.known[name]


class GroupRoles:
    """A stage's condition is the name of a group, and what else it reads."""

    def is_reviewer(self, person: Caller) -> bool:
        return "reviewers" in person.groups

    def is_auditor(self, person: Caller) -> bool:
        return "auditors" in person.groups

    def is_operator(self, person: Caller) -> bool:
        return "operators" in person.groups

    def may_read_originals(self, person: Caller) -> bool:
        return "originals" in person.groups

    def may_break_glass(self, person: Caller) -> bool:
        return "glass" in person.groups

    def is_record_officer(self, person: Caller) -> bool:
        return "officers" in person.groups

    def stages_for(self, person: Caller, hold: HoldSummary) -> tuple[StageRef, ...]:
        return tuple(
            StageRef(approval.name, index)
            for approval in hold.approvals
            for index, stage in enumerate(approval.stages)
            if stage.reviewers.split()[0] in person.groups
        )

    def stage_reads(self, hold: HoldSummary) -> frozenset[str]:
        stages = [stage for approval in hold.approvals for stage in approval.stages]
        return frozenset(word for stage in stages for word in stage.reviewers.split()[1:])


class MemoryStore:
    """Holds, votes, sessions and entries in memory. `time` is its clock; `is_away` makes it refuse."""

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

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "") -> None:
        await self.append(*drafts)

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
        return _page(sorted(found, key=lambda h: h.id, reverse=True), query.page_size, query.page_token)

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
        return _page(sorted(found, key=lambda s: s.id, reverse=True), query.page_size, query.page_token)

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


@dataclass
class MemoryIndex:
    """An index of whatever is said; `is_current` is what it answers."""

    has_texts: bool = True
    is_current: bool = True
    asked: int = 0

    async def refresh(self) -> bool:
        self.asked += 1
        return self.is_current


def _page(items: Sequence[Item], size: int, token: str) -> Page[Item]:
    if token and not token.isdigit():
        raise Unreadable("this is no page token of this list", code="foreign_page_token")
    start = int(token or 0)
    end = start + size
    return Page(tuple(items[start:end]), str(end) if end < len(items) else "")


def hold_of(draft: HoldDraft, *, at: float) -> Hold:
    """A pending hold as a store would make it."""
    first = tuple(StageRef(approval.name, 0) for approval in draft.approvals)
    values = {
        name: getattr(draft, name)
        for name in HoldDraft.__slots__
        if name not in ("entries", "replaces", "release", "quotas")
    }
    return Hold(
        **values,
        size=len(draft.forward),
        state=HoldState.PENDING,
        version=1,
        created_at=at,
        deadline=at + min(approval.stages[0].within for approval in draft.approvals),
        open_stages=first,
    )


BODY = b'{"model":"llama","messages":[{"role":"user","content":"Delete the backups."}],"seed":7}'


def make_hold(
    name: str = "hld_1",
    *,
    body: bytes = BODY,
    caller: Caller = PEOPLE["alice"],
    approvals: tuple[Approval, ...] = (SECURITY,),
    at: float = NOW,
    **changes: Any,
) -> Hold:
    """A pending hold of alice's."""
    digest = hashlib.sha256(body).hexdigest()
    draft = HoldDraft(
        id=name,
        session=name.replace("hld", "ses"),
        caller=caller,
        fingerprint=digest,
        changes=digest,
        digest=digest,
        forward=body,
        api="openai",
        operation="chat.completions",
        model="llama",
        rule="contractors",
        reason="Contractors ask first.",
        policy="p" * 64,
        approvals=approvals,
        findings={"EMAIL_ADDRESS": 2},
    )
    return replace(hold_of(draft, at=at), **changes)


def make_session(name: str = "ses_1", **changes: Any) -> Session:
    """An exchange that went through."""
    session = Session(
        id=name,
        caller=PEOPLE["alice"],
        api="openai",
        method="POST",
        path="/v1/chat/completions",
        model="llama",
        decision="allow",
        rule="staff",
        hold=None,
        status="completed",
        started_at=NOW,
        ended_at=NOW + 2,
        prompt_tokens=3,
        completion_tokens=5,
    )
    return replace(session, **changes)


class LoopThread:
    """An event loop in a thread, for servers that synchronous tests call."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="review-tests")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Review:
    """A running review API. Change the store with `do`, within the server's loop."""

    thread: LoopThread
    address: str
    store: MemoryStore
    people: People
    index: MemoryIndex

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.thread.run(work)

    def put(self, hold: Hold) -> Hold:
        """Store a hold, as a change that watchers see."""

        async def put() -> Hold:
            return self.store.put(hold)

        return self.do(put())


NO_REVISER: Any = None
"""For tests in which nothing is edited."""


@contextmanager
def running(
    thread: LoopThread,
    folder: Path,
    store: MemoryStore | None = None,
    verifier: ReviewVerifier | None = None,
    tokens: Callable[[Calls], TokenReview] | None = None,
    recheck: Callable[[Caller], None] = nothing_withdrawn,
    keys: Callable[[Calls], KeyReview] | None = None,
    logins: LoginReview | None = None,
) -> Iterator[Review]:
    """A server on a Unix socket in `folder`; nobody waits but on hld_1, on which two do."""
    store, people, index = store or MemoryStore(), People(), MemoryIndex()
    server = ReviewServer(
        store,
        verifier or people,
        GroupRoles(),
        limits=HoldLimits,
        reviser=NO_REVISER,
        clock=lambda: store.time,
        poll=0.01,
        tokens=tokens,
        keys=keys,
        logins=logins,
        recheck=recheck,
        index=index,
    )
    folder.chmod(0o700)
    serving = server.serve(f"unix:{folder / 'review.sock'}")
    address = thread.run(serving.__aenter__())
    try:
        yield Review(thread, address, store, people, index)
    finally:
        thread.run(serving.__aexit__(None, None, None))
