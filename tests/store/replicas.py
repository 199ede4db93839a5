"""Two processes on one database, each with a clock of its own, that do what the machines try.

SQLite serves one process, which locks the file. Here that lock is taken from under it: what must hold is to
hold by the transactions alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.core.agreed import LEADS, MINUTE
from tests.store.drafts import Make
from tests.store.places import Place
from tests.store.world_things import NO, PATHS, REFUSED_FOR, USE_WITHIN, Stream

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.business_hours import Hours
from authz_service.core.grants import Grant, OneCaller, OneGroup
from authz_service.core.holds import Approval, Escalation, Stage, StageRef, Verdict
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Granted, Opened, Opening
from authz_service.core.stored_grants import GrantQuery
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldQuery, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.sql_store import SqlStore

ISSUER = "https://issuer.example"
KEY = LogKey.create("example.com/log")
HEAD = AnswerHead(200, {"content-type": "application/json"})
OFFICE = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
LIMITS = HoldLimits(pending_per_caller=1000, use_within=USE_WITHIN, rejection_answers=REFUSED_FOR)


def sha256(body: bytes) -> str:
    """As digests are written."""
    return hashlib.sha256(body).hexdigest()


def approval(path: str) -> Approval:
    """What the configuration says where the model has these steps."""
    stages = tuple(
        Stage(
            "true",
            step.votes,
            step.minutes * MINUTE,
            Escalation("leads", step.then * MINUTE) if step.then else None,
            remind=5 * MINUTE,
            hours=OFFICE if step.in_office else None,
            editor_may_approve=step.writers_too,
            remind_in_hours=True,
        )
        for step in PATHS[path]
    )
    return Approval(path, stages)


APPROVALS = {path: approval(path) for path in PATHS}


def stages_of(who: str, path: str) -> tuple[StageRef, ...]:
    """Where their vote is asked for: the leads' after the others were silent."""
    return tuple(StageRef(path, number, is_escalated=who in LEADS) for number in range(len(PATHS[path])))


def other_lock(url: str) -> None:
    """On SQLite, as if the file had not been locked."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///") + ".lock").unlink(missing_ok=True)


@dataclass
class Replicas:
    """Does in the real store what `World.do` does in the model, and says so in the same words."""

    make: Make
    url: str
    places: dict[str, Place] = field(default_factory=dict)
    stores: dict[str, SqlStore] = field(default_factory=dict)
    asked: dict[str, Stream] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    holds: dict[str, HoldSummary] = field(default_factory=dict)
    of_stream: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)

    async def open(self, at: str) -> None:
        """Start this process."""
        place = self.places.setdefault(at, self.make.place(self.url))
        other_lock(self.url)
        self.stores[at] = await place.open(instance=at, signer=KEY, migrate=False)
        await self.stores[at].append(EntryDraft(Kind.SERVICE_STARTED))

    async def close(self, at: str) -> None:
        """End it: to the record that is the same as a kill, for nobody tells it of an end."""
        await self.stores.pop(at).close()

    async def do(self, at: str, what: str, **how: Any) -> Any:
        """See `World.do`."""
        work: Callable[..., Awaitable[Any]] = getattr(self, f"_{what}")
        try:
            return await work(self.stores[at], **how)
        except (Conflict, Forbidden) as refused:
            return refused.code if refused.code in ("taken_up", "session_killed") else NO

    async def _ask(self, store: SqlStore, *, stream: str, hold: str) -> Any:
        draft = self._draft(self.asked[stream], hold)
        if draft.answer is not None:
            wanted = AnswerWanted(stream, draft.caller, draft.fingerprint, draft.changes, draft.entries)
            there = await store.attach_answer(wanted)
            if there is not None:
                return self._opened(stream, there)
        return self._opened(stream, await store.open_hold(draft, LIMITS))

    def _draft(self, asks: Stream, hold: str) -> HoldDraft:
        caller = replace(self.make.caller(asks.of), expires_at=1e12)
        request = f"the answer to {asks.request}" if asks.is_answer else asks.request
        draft = self.make.hold(
            asks.id,
            caller=caller,
            request=request,
            forward=asks.body,
            approvals=(APPROVALS[asks.path],),
            id=hold,
            traits=None if asks.is_answer else self.make.traits,
        )
        entries = draft.entries[1:] if asks.id in self.recorded else draft.entries
        return replace(draft, entries=entries, answer=HEAD if asks.is_answer else None)

    def _opened(self, stream: str, opening: Opening) -> Any:
        self.recorded.add(stream)
        match opening:
            case Opened(hold):
                self.holds[hold.id], self.of_stream[stream] = hold, hold.id
                return "opened"
            case Attached(hold):
                self.of_stream[stream] = hold.id
                return "attached", hold.id
            case Granted(grant):
                (name,) = [name for name, made in self.grants.items() if made.id == grant]
                return "granted", name
            case AlreadyRejected():
                return "rejected"
            case _:
                raise AssertionError(opening)

    async def _use(self, store: SqlStore, *, stream: str, text: bytes, is_answer: bool) -> Any:
        hold = self.of_stream[stream]
        entries = [EntryDraft(Kind.REQUEST_RELEASED, stream, {"hold": hold}, {"body": text})]
        if is_answer:  # with which the exchange ends
            data: dict[str, Any] = {"masked": {}, "hold": hold}
            released = EntryDraft(Kind.ANSWER_RELEASED, stream, data, {"body": text})
            entries = [released, self.make.ended(stream)]
        return await store.consume(hold, digest=sha256(text), session=stream, entries=entries)

    async def _leave(self, store: SqlStore, *, stream: str, name: str) -> Any:
        await store.append_own(self.make.ended(stream, "client_left"), stream=name)
        return "done"

    async def _again(self, store: SqlStore, *, stream: str, name: str) -> Any:
        return "ours" if (await store.take_up(stream, name)).is_ours else NO

    async def _kill(self, store: SqlStore, *, stream: str) -> Any:
        said = {"operator": b"{}", "reason": b"It loops."}
        await store.kill(stream, EntryDraft(Kind.SESSION_KILLED, stream, payloads=said))
        return "done"

    async def _settle(self, store: SqlStore, *, stream: str, allows: bool) -> Any:
        if allows:
            body = {"body": self.asked[stream].body}
            became = [EntryDraft(Kind.REQUEST_RELEASED, stream, {}, body)]
        else:
            refused = EntryDraft(Kind.REQUEST_REFUSED, stream, {"code": "request_denied", "status": 403})
            became = [refused, self.make.ended(stream, "denied")]
        decided = self.make.decided(stream) if allows else self.make.decided(stream, "deny", "no")
        await store.settle(decided, *became, hold=self.of_stream[stream], session=stream)
        return "done"

    async def _vote(
        self, store: SqlStore, *, hold: str, who: str, yes: bool, shown: bytes, alone: bool = False
    ) -> Any:
        known = self.holds[hold]
        ballot = self.make.ballot(
            known,
            who,
            Verdict.APPROVE if yes else Verdict.REJECT,
            stages=() if alone else stages_of(who, known.approvals[0].name),
            digest=sha256(shown),
        )
        await store.vote(replace(ballot, is_break_glass=alone), LIMITS)
        return "done"

    async def _decide(self, store: SqlStore, **how: Any) -> Any:
        return await self._vote(store, alone=True, **how)

    async def _withdraw(self, store: SqlStore, *, hold: str, who: str) -> Any:
        person = (ISSUER, who)
        await store.act(ActDraft(hold, ActKind.WITHDRAW, person, person, who), LIMITS)
        return "done"

    async def _edit(
        self, store: SqlStore, *, hold: str, who: str, text: bytes, shown: bytes, answers: bool
    ) -> Any:
        known, person = self.holds[hold], (ISSUER, who)
        head = HEAD if answers or known.was_answered else None
        revision = Revision(sha256(shown), text, {}, stages_of(who, known.approvals[0].name), answer=head)
        kind = ActKind.RESPOND if answers else ActKind.EDIT
        draft = ActDraft(hold, kind, person, person, who, "because", revision=revision)
        await store.act(draft, LIMITS)
        return "done"

    async def _propose(
        self,
        store: SqlStore,
        *,
        grant: str,
        hold: str,
        who: str,
        uses: int,
        until: float,
        is_for_all: bool,
        shown: bytes,
    ) -> Any:
        known = self.holds[hold]
        terms = self.make.terms(
            beneficiary=OneGroup(ISSUER, "staff") if is_for_all else OneCaller(known.caller.identity),
            approvals=known.approvals,
            uses=uses,
            until=int(until),
        )
        by = self.make.maker(who, stages=stages_of(who, known.approvals[0].name))
        self.grants[grant] = await store.propose_grant(hold, terms=terms, shown=sha256(shown), by=by)
        return "done"

    async def _agree(self, store: SqlStore, *, grant: str, who: str) -> Any:
        made = self.grants[grant]
        by = self.make.maker(who, stages=stages_of(who, made.terms.approvals[0].name))
        await store.approve_grant(made.id, digest=made.digest, by=by)
        return "done"

    async def _revoke(self, store: SqlStore, *, grant: str) -> Any:
        await store.revoke_grant(self.grants[grant].id, by=self.make.maker("tom"))
        return "done"

    async def refuse(self, at: str, stream: str) -> None:
        """Record what a refused exchange ends with."""
        data: dict[str, Any] = {"code": "request_rejected", "status": 403}
        refused = EntryDraft(Kind.REQUEST_REFUSED, stream, data)
        await self.stores[at].append(refused, self.make.ended(stream, "refused"))

    async def holds_at(self, at: str) -> Mapping[str, tuple[Any, ...]]:
        """See `World.holds_at`, with the digest of the bytes."""
        page = await self.stores[at].holds(HoldQuery(page_size=200))
        return {
            hold.id: (
                hold.state.value,
                hold.digest,
                hold.deadline if hold.state.value in ("pending", "approved") else None,
                hold.released_to,
            )
            for hold in page.items
        }

    async def passes_at(self, at: str) -> Mapping[str, tuple[str, int]]:
        """See `World.passes_at`."""
        names = {made.id: name for name, made in self.grants.items()}
        page = await self.stores[at].grants(GrantQuery(page_size=200))
        return {names[one.id]: (one.state.value, one.used) for one in page.items}

    async def stop(self) -> None:
        """Close what is open."""
        for at in [*self.stores]:
            with suppress(KeyError):
                await self.close(at)
