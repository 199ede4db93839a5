"""Votes, edits, answers, restarts, clocks in any order: only what was approved as it is goes out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.store.conftest import Fresh

from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits, HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden

TWO = (Approval("two", (Stage("true", 2, 60.0),)),)
LIMITS = HoldLimits(pending_per_caller=100, use_within=40.0)
HEAD = AnswerHead(200, {"content-type": "application/json"})
ISSUER = "https://issuer.example"
PEOPLE = st.sampled_from(["alice", "rita", "sam", "tom"])


class Edits(RuleBasedStateMachine):
    """One request of alice's, or the answer to one, at a time, on a real store.

    `bytes` are those that wait by what this model knows, `approved` who approved them since they do,
    `editors` who ever wrote something in their place.
    """

    fresh: ClassVar[Fresh]
    make: ClassVar[Any]

    @initialize()
    def opens(self) -> None:
        self.database = ExitStack()
        url = self.database.enter_context(type(self).fresh())
        self.loop = asyncio.new_event_loop()
        self.place = self.make.place(url)
        self.store = self.run(self.place.open())
        self.count = 0
        self.requests(is_answer=False)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(is_answer=st.booleans())
    def requests(self, is_answer: bool) -> None:
        self.count += 1
        draft = self.make.hold(f"s{self.count}", request=f"r{self.count}", approvals=TWO)
        self.answer = HEAD if is_answer else None
        opening = self.run(self.store.open_hold(replace(draft, answer=self.answer), LIMITS))
        assert isinstance(opening, Opened)
        self.hold: HoldSummary = opening.hold
        self.bytes = self.first = draft.forward
        self.approved: set[str] = set()
        self.editors: set[str] = set()
        self.is_over = False

    @rule(who=PEOPLE, verdict=st.sampled_from([Verdict.APPROVE] * 4 + [Verdict.REJECT]), stale=st.booleans())
    def votes(self, who: str, verdict: Verdict, stale: bool) -> None:
        """`stale`: by whoever looked at the hold when it was opened."""
        digest = self.hold.digest if stale else hashlib.sha256(self.bytes).hexdigest()
        ballot = self.make.ballot(self.hold, who, verdict, digest=digest)
        try:
            self.run(self.store.vote(ballot, LIMITS))
        except (Conflict, Forbidden):
            return
        assert who != "alice"
        assert digest == hashlib.sha256(self.bytes).hexdigest()
        if verdict is Verdict.REJECT:
            self.is_over = True
            return
        assert who not in self.editors
        assert who not in self.approved
        self.approved.add(who)

    @rule(who=PEOPLE, body=st.sampled_from([b"", b"1", b"2"]), is_response=st.booleans(), stale=st.booleans())
    def edits(self, who: str, body: bytes, is_response: bool, stale: bool) -> None:
        """An empty body stands for that of the request: an edit back."""
        shown = self.hold.digest if stale else hashlib.sha256(self.bytes).hexdigest()
        forward = body or self.first
        answer = HEAD if is_response else self.answer
        revision = Revision(shown, forward, {}, (StageRef("two", 0),), answer=answer)
        person = (ISSUER, who)
        kind = ActKind.RESPOND if is_response else ActKind.EDIT
        draft = ActDraft(self.hold.id, kind, person, person, who, revision=revision)
        try:
            after = self.run(self.store.act(draft, LIMITS))
        except (Conflict, Forbidden):
            return
        assert who != "alice"
        assert shown == hashlib.sha256(self.bytes).hexdigest()
        assert not self.is_over
        assert (after.is_response, after.is_edited) == (is_response, not is_response)
        assert after.digest == hashlib.sha256(forward).hexdigest()
        assert self.run(self.store.held_bytes([after.id])) == {after.id: forward}
        assert after.is_answer == (self.answer is not None)
        self.bytes = forward
        self.approved.clear()
        self.editors.add(who)

    @rule(who=PEOPLE)
    def withdraws(self, who: str) -> None:
        person = (ISSUER, who)
        draft = ActDraft(self.hold.id, ActKind.WITHDRAW, person, person, who)
        try:
            self.run(self.store.act(draft, LIMITS))
        except (Conflict, Forbidden):
            return
        assert who in self.approved
        self.approved.discard(who)

    @rule(body=st.sampled_from([b"", b"1", b"2"]))
    def consumes(self, body: bytes) -> None:
        digest = hashlib.sha256(body or self.first).hexdigest()
        before = self.run(self.store.hold(self.hold.id))
        self.count += 1
        entries = [self.make.released(f"x{self.count}", self.bytes)]
        work = self.store.consume(self.hold.id, digest=digest, session=f"x{self.count}", entries=entries)
        if not self.run(work):
            return
        assert not self.is_over
        assert before.state is HoldState.APPROVED
        assert digest == hashlib.sha256(self.bytes).hexdigest()
        assert len(self.approved - self.editors - {"alice"}) == 2
        self.is_over = True

    @rule(seconds=st.sampled_from([-100.0, 0.0, 1.0, 30.0, 61.0]))
    def turns_the_clock(self, seconds: float) -> None:
        self.place.clock.time += seconds

    @rule()
    def restarts(self) -> None:
        self.run(self.store.expire_overdue())
        self.run(self.store.close())
        self.store = self.run(self.place.open())

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.database.close()


@pytest.mark.parametrize("which", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_in_any_order_of_edits_and_votes_only_what_others_approved_goes_out(
    which: str, request: pytest.FixtureRequest, make: Any
) -> None:
    Edits.fresh = staticmethod(request.getfixturevalue(f"fresh_{which}"))
    Edits.make = make
    run_state_machine_as_test(
        Edits,
        settings=settings(
            max_examples=20 if which == "sqlite" else 8,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
