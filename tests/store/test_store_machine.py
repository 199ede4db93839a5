"""Requests, votes, releases, restarts, clocks in any order: one release at most, never unapproved."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from authz_service.core.holds import Approval, Approved, Stage, Verdict, standing
from authz_service.core.ports import AlreadyRejected, Attached, Hold, HoldLimits, HoldQuery, HoldState, Opened
from authz_service.errors import Conflict, Forbidden

ONE = (Approval("security", (Stage("true", 1, 60.0),)),)
TWO = (Approval("two", (Stage("true", 2, 60.0), Stage("true", 1, 30.0))),)
LIMITS = HoldLimits(pending_per_caller=3, use_within=40.0, rejection_answers=20.0)
PEOPLE = st.sampled_from(["alice", "rita", "sam", "tom"])
FINAL = {HoldState.RELEASED, HoldState.REJECTED, HoldState.EXPIRED, HoldState.SUPERSEDED}


@dataclass
class Seen:
    """What the model knows of a hold: the people whose votes were taken, in which state it was last."""

    hold: Hold
    approved_by: list[str]
    state: HoldState


class Holds(RuleBasedStateMachine):
    """Drives a real store on SQLite, and remembers what must never be contradicted."""

    template: ClassVar[Path]
    make: ClassVar[Any]
    known = Bundle("known")

    @initialize()
    def opens(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="authz-machine-"))
        shutil.copy(self.template, self.folder / "authz.db")
        self.loop = asyncio.new_event_loop()
        self.place = self.make.place(f"sqlite:///{self.folder / 'authz.db'}")
        self.store = self.run(self.place.open())
        self.seen: dict[str, Seen] = {}
        self.releases: dict[str, list[str]] = {}
        self.latest = 0.0
        self.count = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(
        target=known,
        who=st.sampled_from(["alice", "sam"]),
        request=st.sampled_from("ab"),
        forward=st.sampled_from([b"1", b"2"]),
        approvals=st.sampled_from([ONE, TWO]),
    )
    def requests(self, who: str, request: str, forward: bytes, approvals: tuple[Approval, ...]) -> Any:
        draft = self.make.hold(
            caller=self.make.caller(who), request=request, forward=forward, approvals=approvals
        )
        opening = self.run(self.store.open_hold(draft, LIMITS))
        match opening:
            case Opened(hold=hold):
                assert hold.id not in self.seen
                self.seen[hold.id] = Seen(hold, [], HoldState.PENDING)
                return hold.id
            case Attached(hold=hold):
                assert (hold.digest, hold.approvals) == (draft.digest, approvals)
                assert hold.state in (HoldState.PENDING, HoldState.APPROVED)
                return hold.id
            case AlreadyRejected(hold=hold):
                assert hold.state is HoldState.REJECTED
                return multiple()
            case _:
                return multiple()

    @rule(hold_id=known, who=PEOPLE, verdict=st.sampled_from(Verdict), key=st.sampled_from(["", "k"]))
    def votes(self, hold_id: str, who: str, verdict: Verdict, key: str) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        try:
            after = self.run(self.store.vote(self.make.ballot(seen.hold, who, verdict, key=key), LIMITS))
        except (Conflict, Forbidden):
            unchanged = self.run(self.store.hold(hold_id))
            assert (unchanged.version, unchanged.votes) == (before.version, before.votes)
            return
        assert who != seen.hold.caller.subject
        if len(after.votes) > len(before.votes):
            assert before.state is HoldState.PENDING
            if verdict is Verdict.APPROVE:
                seen.approved_by.append(who)
            else:
                assert after.state is HoldState.REJECTED

    @rule(hold_id=known, right=st.sampled_from([True, True, False]))
    def consumes(self, hold_id: str, right: bool) -> None:
        seen = self.seen[hold_id]
        before = self.run(self.store.hold(hold_id))
        self.count += 1
        session = f"x{self.count}"
        digest = seen.hold.digest if right else "0" * 64
        entries = [self.make.released(session)]
        won = self.run(self.store.consume(hold_id, digest=digest, session=session, entries=entries))
        assert bool(self.run(self.store.entries(session))) == won
        assert won == (right and before.state is HoldState.APPROVED)
        if won:
            self.releases.setdefault(hold_id, []).append(session)

    @rule(seconds=st.sampled_from([-100.0, -1.0, 1.0, 19.0, 30.0, 60.0]))
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
        self.store = self.run(self.place.open())
        self.latest = 0.0

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
            needed = 1 if seen.hold.approvals == ONE else 3
            assert len(seen.approved_by) == needed
            assert seen.hold.caller.subject not in seen.approved_by
            assert len(set(seen.approved_by[:2])) == min(2, needed)
            hold = self.run(self.store.hold(hold_id))
            assert hold.released_to == sessions[0]
            stands = standing(hold.approvals, hold.votes, opened_at=hold.created_at, now=self.latest)
            assert isinstance(stands, Approved)

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
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)


def test_in_any_order_a_hold_is_released_at_most_once_and_never_unapproved(
    sqlite_template: Path, make: Any
) -> None:
    Holds.template = sqlite_template
    Holds.make = make
    run_state_machine_as_test(
        Holds,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
