"""Requests, votes, grants, uses, revocations, restarts, clocks in any order, on both databases.

A request goes out unasked only under terms that others agreed to, at most so often, and all is on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from authz_service.core.grants import Grant, GrantState, OneCaller, OneGroup, Terms
from authz_service.core.holds import Approval, Stage, Verdict
from authz_service.core.openings import AlreadyRejected, Attached, Granted, Opened
from authz_service.core.stored_grants import GrantQuery
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict, Forbidden
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

ISSUER = "https://issuer.example"
ONE = Approval("security", (Stage("true", 1, 300.0),))
STRICTER = Approval("security", (Stage("true", 2, 300.0),))
NEEDED = {ONE: 1, STRICTER: 2}
KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits(pending_per_caller=100, use_within=40.0, rejection_answers=20.0)
CALLERS = st.sampled_from(["alice", "rita", "rita"])
VOTERS = st.sampled_from(["alice", "rita", "sam", "tom"])
Fresh = Callable[[], AbstractContextManager[str]]
"""Makes a database for one run: its URL."""


@dataclass
class Seen:
    """A grant by what this model knows: who voted for which terms, how often it was used, if it has ended."""

    terms: Terms
    by: set[str] = field(default_factory=set)
    active_since: float | None = None
    used: int = 0
    is_revoked: bool = False

    def covers(self, who: str, tools: tuple[str, ...], approval: Approval, now: float) -> bool:
        """In the model's own words."""
        of = self.terms.beneficiary
        return (
            self.active_since is not None
            and not self.is_revoked
            and self.used < self.terms.uses
            and now < self.terms.until
            and who not in self.by
            and (isinstance(of, OneGroup) or of.identity[1] == who)
            and set(tools) <= set(self.terms.tools)
            and self.terms.approvals == (approval,)
        )


class Grants(RuleBasedStateMachine):
    """Requests by two callers who are in one group, on a real store."""

    fresh: ClassVar[Fresh]
    make: ClassVar[Any]

    @initialize()
    def opens(self) -> None:
        self.database = ExitStack()
        self.url = self.database.enter_context(type(self).fresh())
        self.loop = asyncio.new_event_loop()
        self.place = self.make.place(self.url)
        self.store = self.run(self.place.open(signer=KEY))
        self.count = 0
        self.holds: list[str] = []
        self.seen: dict[str, Seen] = {}
        self.released: dict[str, str] = {}
        self.requests("alice", "a", ("search",), ONE)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(
        who=CALLERS,
        request=st.sampled_from("abc"),
        tools=st.sampled_from([(), (), ("search",), ("search", "shell")]),
        approval=st.sampled_from([ONE, ONE, STRICTER]),
    )
    def requests(self, who: str, request: str, tools: tuple[str, ...], approval: Approval) -> None:
        self.count += 1
        session = f"s{self.count}"
        caller = replace(self.make.caller(who), expires_at=1e12)
        text = f"{request} {tools}"
        traits = replace(self.make.traits, tools=tools)
        draft = self.make.hold(session, caller=caller, request=text, approvals=(approval,), traits=traits)
        now = self.run(self.store.now())
        opening = self.run(self.store.open_hold(draft, LIMITS))
        covering = [i for i, grant in self.seen.items() if grant.covers(who, tools, approval, now)]
        kinds = [entry.kind for entry in self.run(self.store.entries(session))]
        assert ("request.released" in kinds) is ("grant.used" in kinds) is isinstance(opening, Granted)
        match opening:
            case Granted(grant):
                assert grant in covering
                self.seen[grant].used += 1
                self.released[session] = grant
            case Attached(hold) if hold.state is HoldState.APPROVED:
                pass
            case AlreadyRejected():
                pass
            case Attached() | Opened():
                assert covering == []
                self.holds.append(opening.hold.id)
            case _:
                raise AssertionError(opening)

    @rule(
        who=st.sampled_from(["rita", "sam", "rita", "alice"]),
        tools=st.sampled_from([("search",), ()]),
        approval=st.sampled_from([ONE, ONE, STRICTER]),
        is_for_group=st.sampled_from([True, True, False]),
    )
    def a_grant_is_made(
        self, who: str, tools: tuple[str, ...], approval: Approval, is_for_group: bool
    ) -> None:
        """Or proposed, from a request like no other."""
        self.requests("alice", f"only {self.count}", tools, approval)
        if self.holds:
            self.proposes(len(self.holds) - 1, who, 3, 100, is_for_group, "")

    def hold(self, number: int) -> Any:
        return self.run(self.store.hold(self.holds[number % len(self.holds)]))

    @rule(
        number=st.integers(0, 50),
        who=VOTERS,
        verdict=st.sampled_from([Verdict.APPROVE] * 2 + [Verdict.REJECT]),
    )
    def votes(self, number: int, who: str, verdict: Verdict) -> None:
        try:
            self.run(self.store.vote(self.make.ballot(self.hold(number), who, verdict), LIMITS))
        except (Conflict, Forbidden):
            return

    @rule(
        number=st.integers(0, 50),
        who=VOTERS,
        uses=st.integers(1, 3),
        seconds=st.sampled_from([20, 100]),
        is_for_group=st.booleans(),
        key=st.sampled_from(["", "k"]),
    )
    def proposes(self, number: int, who: str, uses: int, seconds: int, is_for_group: bool, key: str) -> None:
        hold = self.hold(number)
        now = self.run(self.store.now())
        terms = self.make.terms(
            beneficiary=OneGroup(ISSUER, "staff") if is_for_group else OneCaller(hold.caller.identity),
            tools=hold.traits.tools,
            approvals=hold.approvals,
            uses=uses,
            until=(int(now) // 10) * 10 + seconds,
        )
        by = self.make.maker(who, approvals=hold.approvals, key=key)
        try:
            made = self.run(self.store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by))
        except (Conflict, Forbidden):
            return
        assert who != hold.caller.subject
        self.took(made, who, terms)

    @rule(number=st.integers(0, 2), who=VOTERS, is_right=st.sampled_from([True, True, False]))
    def approves(self, number: int, who: str, is_right: bool) -> None:
        if not self.seen:
            return
        grant = self.run(self.store.grant(list(self.seen)[-1 - number % len(self.seen)]))
        hold = self.run(self.store.hold(grant.hold))
        digest = grant.digest if is_right else "0" * 64
        by = self.make.maker(who, approvals=grant.terms.approvals)
        try:
            made = self.run(self.store.approve_grant(grant.id, digest=digest, by=by))
        except (Conflict, Forbidden):
            return
        assert is_right
        assert grant.state is GrantState.PROPOSED
        assert hold.state in (HoldState.PENDING, HoldState.APPROVED, HoldState.RELEASED)
        assert who != hold.caller.subject
        self.took(made, who, grant.terms)

    def took(self, made: Grant, who: str, terms: Terms) -> None:
        seen = self.seen.setdefault(made.id, Seen(terms))
        assert made.terms == seen.terms == terms
        seen.by.add(who)
        is_enough = len(seen.by) >= NEEDED[terms.approvals[0]]
        if is_enough and seen.active_since is None:
            seen.active_since = self.run(self.store.now())
        assert len(made.votes) == len(seen.by)

    @rule(number=st.integers(0, 50), who=st.sampled_from(["rita", "tom"]))
    def revokes(self, number: int, who: str) -> None:
        if not self.seen:
            return
        name = list(self.seen)[number % len(self.seen)]
        before = self.run(self.store.grant(name))
        try:
            self.run(self.store.revoke_grant(name, by=self.make.maker(who)))
        except Conflict:
            assert before.state not in (GrantState.PROPOSED, GrantState.ACTIVE)
            return
        assert before.state in (GrantState.PROPOSED, GrantState.ACTIVE)
        self.seen[name].is_revoked = True

    @rule(number=st.integers(0, 50))
    def consumes(self, number: int) -> None:
        hold = self.hold(number)
        self.count += 1
        session = f"x{self.count}"
        released = replace(self.make.released(session, hold.forward), data={"hold": hold.id})
        entries = [self.make.received(session), released]
        self.run(self.store.consume(hold.id, digest=hold.digest, session=session, entries=entries))

    @rule(seconds=st.sampled_from([-100.0, 1.0, 5.0, 21.0, 101.0]))
    def turns_the_clock(self, seconds: float) -> None:
        self.place.clock.time += seconds

    @rule()
    def restarts(self) -> None:
        self.run(self.store.expire_overdue())
        self.run(self.store.close())
        self.store = self.run(self.place.open(signer=KEY))

    @invariant()
    def each_grant_is_as_it_was_voted_for_and_used_no_more_than_that(self) -> None:
        if not hasattr(self, "store"):
            return
        now = self.run(self.store.now())
        found = {grant.id: grant for grant in self.run(self.store.grants(GrantQuery(page_size=200))).items}
        assert set(found) == set(self.seen)
        for name, seen in self.seen.items():
            grant = found[name]
            assert grant.terms == seen.terms
            assert grant.used == seen.used <= seen.terms.uses
            assert grant.used == list(self.released.values()).count(name)
            if grant.state is GrantState.ACTIVE:
                assert seen.active_since is not None
                assert not seen.is_revoked
                assert now < seen.terms.until
                assert len(seen.by) >= NEEDED[seen.terms.approvals[0]]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            with reading(self.url) as reader:
                assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.database.close()


@pytest.mark.parametrize("which", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_in_any_order_a_grant_lets_through_what_others_agreed_to_and_no_more(
    which: str, request: pytest.FixtureRequest, make: Any
) -> None:
    Grants.fresh = staticmethod(request.getfixturevalue(f"fresh_{which}"))
    Grants.make = make
    run_state_machine_as_test(
        Grants,
        settings=settings(
            max_examples=20 if which == "sqlite" else 8,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
