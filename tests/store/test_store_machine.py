"""Requests, votes, what else reviewers do, releases, restarts, clocks in any order.

One release at most, never unapproved; and the record accounts for every column afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.store.conftest import Fresh

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind, Review, Revision
from authz_service.core.holds import Approval, Approved, Escalation, Stage, StageRef, Verdict
from authz_service.core.openings import AlreadyRejected, Attached, Opened
from authz_service.core.requesters import owners_of
from authz_service.core.standing import standing
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.sql_store import SqlStore
from authz_service.store.verify_store import verify_store
from authz_service.view.caller import Caller

ONE = (Approval("security", (Stage("true", 1, 60.0),)),)
TWO = (Approval("two", (Stage("true", 2, 60.0), Stage("true", 1, 30.0))),)
ESCALATING = (Approval("esc", (Stage("true", 2, 60.0, Escalation("leads", 60.0), remind=20.0),)),)
NEEDED: dict[tuple[Approval, ...], int] = {ONE: 1, TWO: 3, ESCALATING: 2}
BEFORE, AFTER = StageRef("esc", 0), StageRef("esc", 0, is_escalated=True)
LEADS = {"tom"}
KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits(pending_per_caller=3, use_within=40.0, rejection_answers=20.0, claim=30.0)
PEOPLE = st.sampled_from(["alice", "rita", "sam", "tom", "rita-bot", "alice-bot"])
"""A bot is a service account of whoever it is named after, and one person with them."""
FINAL = {
    HoldState.RELEASED,
    HoldState.REJECTED,
    HoldState.EXPIRED,
    HoldState.SUPERSEDED,
    HoldState.KILLED,
}


def person_of(who: str) -> str:
    return who.removesuffix("-bot")


def owners(who: str) -> frozenset[tuple[str, str]]:
    claims = {} if who == person_of(who) else {"owner": person_of(who)}
    return owners_of(Caller("https://issuer.example", who, 0.0, claims=claims))


@dataclass
class Seen:
    """What the model knows of a hold: the people whose votes stand, in which state it was last.

    `alone` are those who decided alone, whether or not that stands; `reviewed_by` who reviewed that. Since
    `begun` it has the bytes that it has; the votes that are `void` were on others.
    """

    hold: HoldSummary
    approved_by: list[str]
    state: HoldState
    alone: set[str] = field(default_factory=set)
    stands_alone: bool = False
    begun: float = 0.0
    editors: set[str] = field(default_factory=set)
    void: set[str] = field(default_factory=set)
    reviewed_by: str = ""


class Holds(RuleBasedStateMachine):
    """Drives a real store, and remembers what must never be contradicted."""

    fresh: ClassVar[Fresh]
    make: ClassVar[Any]
    has_two: ClassVar[bool] = False
    other: SqlStore | None = None
    known = Bundle("known")

    @initialize()
    def opens(self) -> None:
        self.database = ExitStack()
        url = self.database.enter_context(type(self).fresh())
        self.loop = asyncio.new_event_loop()
        self.place = self.make.place(url)
        self.store = self.run(self.place.open(signer=KEY))
        self.run(self.starts())
        self.seen: dict[str, Seen] = {}
        self.releases: dict[str, list[str]] = {}
        self.latest = 0.0
        self.count = 0

    async def starts(self) -> None:
        await self.store.append(EntryDraft(Kind.SERVICE_STARTED))

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(
        target=known,
        who=st.sampled_from(["alice", "sam"]),
        request=st.sampled_from("ab"),
        forward=st.sampled_from([b"1", b"2"]),
        approvals=st.sampled_from([ONE, TWO, ESCALATING]),
    )
    def requests(self, who: str, request: str, forward: bytes, approvals: tuple[Approval, ...]) -> Any:
        draft = self.make.hold(
            caller=self.make.caller(who), request=request, forward=forward, approvals=approvals
        )
        opening = self.run(self.store.open_hold(draft, LIMITS))
        match opening:
            case Opened(hold=hold):
                assert hold.id not in self.seen
                self.seen[hold.id] = Seen(hold, [], HoldState.PENDING, begun=hold.created_at)
                return hold.id
            case Attached(hold=hold):
                assert hold.approvals == approvals
                assert self.seen[hold.id].editors or hold.digest == draft.digest
                assert hold.state in (HoldState.PENDING, HoldState.APPROVED)
                return hold.id
            case AlreadyRejected(hold=hold):
                assert hold.state is HoldState.REJECTED
                return multiple()
            case _:
                return multiple()

    @rule(
        hold_id=known,
        who=PEOPLE,
        verdict=st.sampled_from(Verdict),
        key=st.sampled_from(["", "k"]),
        is_fresh=st.sampled_from([True, True, False]),
    )
    def votes(self, hold_id: str, who: str, verdict: Verdict, key: str, *, is_fresh: bool) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        shown = before if is_fresh else seen.hold
        ballot = self.make.ballot(shown, who, verdict, key=key, stages=self.stages(hold_id, who))
        ballot = replace(ballot, owners=owners(who))
        try:
            after = self.run(self.store.vote(ballot, LIMITS))
        except (Conflict, Forbidden):
            unchanged = self.run(self.store.hold(hold_id))
            assert (unchanged.version, unchanged.votes) == (before.version, before.votes)
            return
        who = person_of(who)
        assert who != seen.hold.caller.subject
        if len(after.votes) > len(before.votes):
            assert (before.state, before.digest) == (HoldState.PENDING, shown.digest)
            if verdict is Verdict.APPROVE:
                assert who not in seen.editors
                seen.approved_by.append(who)
            else:
                assert after.state is HoldState.REJECTED

    def stages(self, hold_id: str, who: str) -> tuple[StageRef, ...] | None:
        if self.seen[hold_id].hold.approvals != ESCALATING:
            return None
        return (AFTER,) if who in LEADS else (BEFORE,)

    @rule(
        hold_id=known,
        who=st.sampled_from(["rita", "rita", "rita-bot", "alice", "tom"]),
        body=st.sampled_from([b"1", b"3"]),
        is_fresh=st.sampled_from([True, True, False]),
    )
    def edits(self, hold_id: str, who: str, body: bytes, *, is_fresh: bool) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        identity = ("https://issuer.example", who)
        stages = self.stages(hold_id, who) or self.make.ballot(before, who).may_vote_in
        revision = Revision(before.digest if is_fresh else "0" * 64, body, {}, stages)
        draft = ActDraft(hold_id, ActKind.EDIT, identity, identity, who, "because", "", revision, owners(who))
        try:
            after = self.run(self.store.act(draft, LIMITS))
        except (Conflict, Forbidden):
            unchanged = self.run(self.store.hold(hold_id))
            assert (unchanged.version, unchanged.digest) == (before.version, before.digest)
            return
        who = person_of(who)
        assert is_fresh
        assert before.state is after.state is HoldState.PENDING
        assert who != seen.hold.caller.subject
        assert self.run(self.store.held_bytes([after.id])) == {after.id: body}
        seen.editors.add(who)
        seen.approved_by, seen.stands_alone = [], False
        seen.void = {vote.id for vote in after.votes}
        seen.begun = after.acts[-1].at

    @rule(hold_id=known, who=st.sampled_from(["alice", "gus", "gus-bot"]), verdict=st.sampled_from(Verdict))
    def decides_alone(self, hold_id: str, who: str, verdict: Verdict) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        ballot = self.make.ballot(before, who, verdict, stages=())
        try:
            alone = replace(ballot, is_break_glass=True, owners=owners(who))
            after = self.run(self.store.vote(alone, LIMITS))
        except (Conflict, Forbidden):
            return
        who = person_of(who)
        assert who != seen.hold.caller.subject
        assert before.state is HoldState.PENDING
        assert after.state is (HoldState.APPROVED if verdict is Verdict.APPROVE else HoldState.REJECTED)
        seen.alone.add(who)
        seen.stands_alone, seen.reviewed_by = True, ""

    @rule(
        hold_id=known,
        who=st.sampled_from(["alice", "rita", "rita-bot", "sam", "tom", "gus"]),
        key=st.sampled_from("kl"),
    )
    def takes_a_vote_back(self, hold_id: str, who: str, key: str) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        after = self.act(hold_id, ActKind.WITHDRAW, who, key)
        if after is None or len(after.acts) == len(before.acts):
            return
        assert before.state in (HoldState.PENDING, HoldState.APPROVED)
        assert len(after.votes) == len(before.votes)
        who = person_of(who)
        seen.approved_by = [name for name in seen.approved_by if name != who]
        if who in seen.alone:
            seen.stands_alone = False

    @rule(
        hold_id=known,
        who=st.sampled_from(["alice", "rita", "gus", "gus-bot"]),
        kind=st.sampled_from(
            [ActKind.CLAIM, ActKind.CLAIM, ActKind.UNCLAIM, ActKind.COMMENT, ActKind.REVIEW]
        ),
    )
    def acts(self, hold_id: str, who: str, kind: ActKind) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        after = self.act(hold_id, kind, who)
        if after is None:
            return
        assert (after.state, after.votes, after.digest) == (before.state, before.votes, before.digest)
        if kind is ActKind.CLAIM:
            assert before.state is HoldState.PENDING
            assert before.claim is None or before.claim.person[1] == who
            assert who != seen.hold.caller.subject
        if kind is ActKind.REVIEW:
            assert before.review is Review.DUE
            assert person_of(who) not in {*seen.alone, seen.hold.caller.subject}
            seen.reviewed_by = who

    def act(self, hold_id: str, kind: ActKind, who: str, key: str = "") -> Any:
        identity = ("https://issuer.example", who)
        draft = ActDraft(hold_id, kind, identity, identity, who, "because", key, owners=owners(who))
        before = self.run(self.store.hold(hold_id))
        try:
            return self.run(self.store.act(draft, LIMITS))
        except (Conflict, Forbidden):
            unchanged = self.run(self.store.hold(hold_id))
            assert (unchanged.version, unchanged.acts) == (before.version, before.acts)
            return None

    @rule(hold_id=known, right=st.sampled_from([True, True, False]))
    def consumes(self, hold_id: str, right: bool) -> None:
        before = self.run(self.store.hold(hold_id))
        self.count += 1
        session = f"x{self.count}"
        digest = before.digest if right else "0" * 64
        body = {"body": before.forward}
        released = EntryDraft(Kind.REQUEST_RELEASED, session, {"hold": hold_id}, body)
        entries = [self.make.received(session), released]
        won = self.run(self.store.consume(hold_id, digest=digest, session=session, entries=entries))
        assert bool(self.run(self.store.entries(session))) == won
        assert won == (right and before.state is HoldState.APPROVED)
        if won:
            self.releases.setdefault(hold_id, []).append(session)

    @rule(hold_id=known)
    def an_operator_ends_the_request(self, hold_id: str) -> None:
        before = self.run(self.store.hold(hold_id))
        order = EntryDraft(
            Kind.SESSION_KILLED, before.session, payloads={"operator": b"{}", "reason": b"It loops."}
        )
        with suppress(Conflict):
            self.run(self.store.kill(before.session, order))
        after = self.run(self.store.hold(hold_id))
        assert after.state in (before.state, HoldState.KILLED)
        assert before.state not in FINAL or after.state is before.state

    @rule(seconds=st.sampled_from([-100.0, -1.0, 1.0, 19.0, 30.0, 60.0, 1e7]))
    def turns_the_clock(self, seconds: float) -> None:
        self.place.clock.time += seconds

    @rule()
    def sweeps(self) -> None:
        self.run(self.store.expire_overdue())

    @rule()
    def restarts(self) -> None:
        # What was overdue is on record then: a time at which nothing was recorded does not outlive a process.
        self.run(self.store.expire_overdue())
        self.run(self.store.close())
        self.store = self.run(self.place.open(signer=KEY))
        self.latest = 0.0

    @precondition(lambda machine: machine.has_two)
    @rule()
    def the_other_replica_goes_on(self) -> None:
        self.run(self.store.expire_overdue())  # as at a restart
        if self.other is None:
            self.other = self.run(self.place.open(signer=KEY, instance="two", migrate=False))
        self.store, self.other = self.other, self.store
        self.latest = 0.0

    @precondition(lambda machine: machine.other is not None)
    @rule(hold_id=known, who=st.sampled_from(["rita", "sam"]), other=st.sampled_from(["tom", "rita"]))
    def two_vote_at_once_on_both(self, hold_id: str, who: str, other: str) -> None:
        seen = self.seen[hold_id]
        self.run(self.store.expire_overdue())
        before = self.run(self.store.hold(hold_id))

        async def vote(store: Any, name: str) -> Any:
            ballot = self.make.ballot(before, name, stages=self.stages(hold_id, name))
            try:
                return await store.vote(replace(ballot, owners=owners(name)), LIMITS)
            except (Conflict, Forbidden) as error:
                return error

        async def both() -> Any:
            return await asyncio.gather(vote(self.store, who), vote(self.other, other))

        counted = [name for name, got in zip((who, other), self.run(both()), strict=True) if _is_hold(got)]
        after = self.run(self.store.hold(hold_id))
        assert len(after.votes) == len(before.votes) + len(counted)
        assert len(set(counted)) == len(counted)
        assert not counted or before.state is HoldState.PENDING
        assert seen.hold.caller.subject not in counted
        seen.approved_by += counted

    @precondition(lambda machine: machine.other is not None)
    @rule(hold_id=known)
    def both_use_it_at_once(self, hold_id: str) -> None:
        self.run(self.store.expire_overdue())
        self.decides_alone(hold_id, "gus", Verdict.APPROVE)  # or few would be approved in time
        before = self.run(self.store.hold(hold_id))
        self.count += 1
        sessions = [f"x{self.count}{half}" for half in "ab"]

        def use(store: Any, session: str) -> Any:
            released = EntryDraft(Kind.REQUEST_RELEASED, session, {"hold": hold_id}, {"body": before.forward})
            entries = [self.make.received(session), released]
            return store.consume(hold_id, digest=before.digest, session=session, entries=entries)

        async def both() -> Any:
            return await asyncio.gather(use(self.store, sessions[0]), use(self.other, sessions[1]))

        won = [session for session, is_ours in zip(sessions, self.run(both()), strict=True) if is_ours]
        assert len(won) == (1 if before.state is HoldState.APPROVED else 0)
        if won:
            self.releases.setdefault(hold_id, []).extend(won)

    @invariant()
    def time_goes_on(self) -> None:
        if hasattr(self, "store"):
            now = self.run(self.store.now())
            assert now >= self.latest
            self.latest = now

    @invariant()
    def a_release_was_approved_by_enough_others_and_happened_once(self) -> None:
        for hold_id, sessions in getattr(self, "releases", {}).items():
            seen = self.seen[hold_id]
            assert len(sessions) == 1
            needed = NEEDED[seen.hold.approvals]
            assert seen.hold.caller.subject not in {*seen.approved_by, *seen.alone}
            if not seen.stands_alone:
                assert len(seen.approved_by) >= needed
                assert len(set(seen.approved_by)) >= min(2, needed)
            hold = self.run(self.store.hold(hold_id))
            assert hold.released_to == sessions[0]
            votes = [vote for vote in hold.votes if vote.id not in seen.void]
            assert {vote.digest for vote in votes} == {hold.digest}
            stands = standing(hold.approvals, votes, opened_at=seen.begun, now=self.latest)
            assert isinstance(stands, Approved)

    @invariant()
    def those_who_were_asked_later_vote_later_and_what_was_decided_alone_is_reviewed(self) -> None:
        for hold_id, seen in getattr(self, "seen", {}).items():
            hold = self.run(self.store.hold(hold_id))
            if seen.hold.approvals == ESCALATING:
                for vote in (vote for vote in hold.votes if vote.id not in seen.void):
                    is_later = vote.at >= seen.begun + 60
                    assert vote.is_break_glass or is_later is (vote.voter[1] in LEADS)
            due = Review.DONE if seen.reviewed_by else Review.DUE
            assert hold.review is (due if seen.alone else Review.NONE)

    @invariant()
    def what_has_ended_stays_ended_and_one_hold_is_open_for_a_request(self) -> None:
        if not hasattr(self, "store"):
            return
        open_requests = []
        for hold in self.run(self.store.holds(HoldQuery(page_size=200))).items:
            seen = self.seen[hold.id]
            if seen.state in FINAL:
                assert hold.state is seen.state
            seen.state = hold.state
            if hold.state not in FINAL:
                open_requests.append((hold.caller.identity, hold.fingerprint))
        assert len(open_requests) == len(set(open_requests))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            if self.other is not None:
                self.run(self.other.close())
            with reading(self.place.url) as reader:
                assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.database.close()


def _is_hold(answer: Any) -> bool:
    return isinstance(answer, HoldSummary)


class OnTwo(Holds):
    """The same with a second replica over one store, now one of them and now the other, or both at once."""

    has_two = True


@pytest.mark.postgres
def test_in_any_order_two_replicas_are_one(fresh_postgres: Fresh, make: Any) -> None:
    OnTwo.fresh, OnTwo.make = staticmethod(fresh_postgres), make
    run_state_machine_as_test(
        OnTwo,
        settings=settings(
            max_examples=4,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.parametrize("which", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_in_any_order_a_hold_is_released_at_most_once_and_never_unapproved(
    which: str, request: pytest.FixtureRequest, make: Any
) -> None:
    Holds.fresh = staticmethod(request.getfixturevalue(f"fresh_{which}"))
    Holds.make = make
    run_state_machine_as_test(
        Holds,
        settings=settings(
            max_examples=20 if which == "sqlite" else 5,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
