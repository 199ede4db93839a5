"""One exchange, its people, its store and its model in any order: what goes on was let through, once.

The store of the model is the simplest that keeps its promises: an approval is used once, by who comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.commands import (
    Command,
    Consume,
    Forward,
    ForwardAnswer,
    Judge,
    OpenHold,
    ReadAnswer,
    Record,
    RecordLater,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFailed,
    AnswerRead,
    AnswerStarted,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldConsumed,
    HoldEnded,
    Killed,
    RequestFailed,
    RequestJudged,
    ServiceStopped,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.openings import Attached, Granted, Opened, TooManyHolds
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unavailable, Unreadable
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Effect

NOW = 1_800_000_000.0
OPEN = (HoldState.PENDING, HoldState.APPROVED)
AWAY = Unavailable("The store is away.")
STORED = (Record, OpenHold, Consume)


def waits_for(*kinds: type[Command]) -> Callable[[ExchangeMachine], bool]:
    return lambda machine: isinstance(machine.asked, kinds)


def has_hold(*states: HoldState) -> Callable[[ExchangeMachine], bool]:
    return lambda machine: machine.hold is not None and machine.hold.state in states


class ExchangeMachine(RuleBasedStateMachine):
    """Drives an exchange as a shell does; `asked` is the command whose outcome it waits for."""

    request: ClassVar[Request]
    judged: ClassVar[Callable[..., RequestJudged]]
    hold_in: ClassVar[Callable[..., Hold]]

    @initialize()
    def starts(self) -> None:
        self.hold: Hold | None = None
        self.holds = 0
        self.is_away = False
        self.sends()

    @precondition(lambda machine: machine.exchange.is_closed or machine.answered > 1)
    @rule()
    def sends(self) -> None:
        """The same request, perhaps again: its hold and its approval may be there."""
        self.exchange = Exchange(self.request)
        self.asked: Command | None = None
        self.last_judged: RequestJudged | None = None
        self.is_judged_since_approval = False
        self.used: bytes | None = None
        self.is_granted = False
        self.waited_for = ""
        self.forwarded = 0
        self.answered = 0
        self.recorded: list[EntryDraft] = []
        self.tell(BodyRead(b"body"))

    def tell(self, event: Event) -> None:
        self.told = event
        was_closed = self.exchange.is_closed
        commands = self.exchange.handle(event)
        assert not (was_closed and commands) or isinstance(event, StoreFailed)  # of its last commands
        for position, command in enumerate(commands):
            if self.is_away and isinstance(command, STORED):
                return self.tell(StoreFailed(AWAY, answer_begun=self.answered > 0))
            self.do(command, commands[:position])
        if commands:
            self.asked = commands[-1]
        if self.exchange.is_closed:
            self.asked = None
        return None

    def do(self, command: Command, before: list[Command]) -> None:
        recorded = [draft.kind for c in before if isinstance(c, Record) for draft in c.drafts]
        match command:
            case Record(drafts, ends):
                self.recorded += drafts
                self.the_store_settles(drafts, ends)
            case RecordLater(drafts):
                self.recorded += drafts
            case Forward(body=body):
                self.forwarded += 1
                assert self.last_judged is not None
                effect = self.last_judged.decision.effect
                is_allowed = effect is Effect.ALLOW and Kind.REQUEST_RELEASED in recorded
                is_approved = effect is not Effect.DENY and self.used == body
                assert is_allowed or is_approved or self.is_granted
            case OpenHold():
                assert self.last_judged is not None
                assert self.last_judged.decision.effect is not Effect.DENY
            case Consume(hold=hold, digest=digest, entries=entries):
                assert self.is_judged_since_approval
                assert self.hold is not None
                assert (hold, digest) == (self.hold.id, self.hold.digest)
                assert Kind.REQUEST_RELEASED in [entry.kind for entry in entries]
            case ForwardAnswer():
                self.answered += 1
                assert recorded
            case _:
                pass

    def the_store_settles(self, drafts: Sequence[EntryDraft], ends: str) -> None:
        """What it waited for ends with the rules' word, whichever it is, and with nothing else."""
        no_question = isinstance(self.told, RequestJudged) and self.told.decision.effect is not Effect.HOLD
        assert ends == (self.waited_for if no_question else "")
        if not ends:
            return
        assert self.hold is not None
        is_released = Kind.REQUEST_RELEASED in [draft.kind for draft in drafts]
        if self.hold.id == ends and self.hold.state in (OPEN if is_released else OPEN[:1]):
            self.people_move(HoldState.SUPERSEDED)

    @precondition(waits_for(Judge))
    @rule(
        effect=st.sampled_from([*Effect] + [Effect.HOLD] * 6),
        forward=st.sampled_from([b"forward", b"forward", b"other"]),
    )
    def rules_say(self, effect: Effect, forward: bytes) -> None:
        self.last_judged = type(self).judged(effect, forward=forward)
        self.is_judged_since_approval = True
        self.tell(self.last_judged)

    @precondition(waits_for(OpenHold))
    @rule(how=st.sampled_from(["opens"] * 8 + ["has many", "grants"]))
    def the_store_opens(self, how: str) -> None:
        assert isinstance(self.asked, OpenHold)
        draft = self.asked.draft
        if how == "has many":
            return self.tell(HoldAnswered(TooManyHolds(1)))
        if how == "grants":
            self.is_granted = True
            return self.tell(HoldAnswered(Granted("grant_1")))
        known = self.hold
        if known is not None and known.state in OPEN and known.changes == draft.changes:
            self.waited_for = known.id
            return self.tell(HoldAnswered(Attached(known)))
        self.holds += 1
        made = type(self).hold_in(HoldState.PENDING, hold_id=f"hold_{self.holds}")
        self.hold = replace(made, forward=draft.forward, digest=draft.digest, changes=draft.changes)
        self.waited_for = self.hold.id
        return self.tell(HoldAnswered(Opened(self.hold)))

    def people_move(self, state: HoldState) -> None:
        assert self.hold is not None
        self.hold = replace(self.hold, state=state, version=self.hold.version + 1)

    @precondition(has_hold(HoldState.PENDING))
    @rule(state=st.sampled_from([HoldState.APPROVED, HoldState.APPROVED, HoldState.REJECTED]))
    def people_decide(self, state: HoldState) -> None:
        self.people_move(state)

    @precondition(has_hold(HoldState.APPROVED))
    @rule(state=st.sampled_from([HoldState.PENDING, HoldState.RELEASED, HoldState.EXPIRED]))
    def it_is_taken_back_or_used_by_another_or_too_late(self, state: HoldState) -> None:
        self.people_move(state)

    @precondition(waits_for(WatchHold))
    @precondition(has_hold(HoldState.APPROVED, HoldState.REJECTED, HoldState.RELEASED, HoldState.EXPIRED))
    @rule()
    def who_waits_is_told(self) -> None:
        assert self.hold is not None
        if self.hold.state is HoldState.APPROVED:
            self.is_judged_since_approval = False
            self.tell(HoldApproved(self.hold, NOW))
        else:
            self.tell(HoldEnded(self.hold))

    @precondition(waits_for(Consume))
    @rule()
    def the_store_lets_it_be_used_once(self) -> None:
        assert isinstance(self.asked, Consume)
        assert self.hold is not None
        is_ours = self.hold.state is HoldState.APPROVED
        if is_ours:
            assert self.used is None
            self.used = self.hold.forward
            self.recorded += self.asked.entries
            self.people_move(HoldState.RELEASED)
        self.tell(HoldConsumed(is_ours=is_ours))

    @precondition(waits_for(Forward))
    @rule(is_last=st.booleans())
    def the_model_begins(self, *, is_last: bool) -> None:
        self.tell(AnswerStarted(200, {"content-type": "application/json"}, is_last=is_last))

    @precondition(waits_for(ReadAnswer, ForwardAnswer))
    @rule(body=st.sampled_from([b"", b"piece"]), is_last=st.booleans())
    def the_model_goes_on(self, body: bytes, *, is_last: bool) -> None:
        self.tell(AnswerRead(AnswerStep(body, {}, {}, is_last=is_last)))

    @precondition(lambda machine: not machine.exchange.is_closed)
    @rule(
        what=st.sampled_from(
            ["goes well"] * 12 + ["caller", "in line", "operator", "stop", "away", "unreadable", "late"]
        )
    )
    def something_happens(self, what: str) -> None:
        """Rarely, or few exchanges would come far."""
        match what, self.asked:
            case "caller", _:
                self.tell(CallerLeft())
            case "in line", OpenHold(draft):
                self.leaves_before_the_store_is_asked([entry.kind for entry in draft.entries])
            case "operator", _:
                self.tell(Killed("enough"))
            case "stop", _:
                self.tell(ServiceStopped())
            case "away", _:
                self.is_away = True
            case "unreadable", Judge():
                self.tell(RequestFailed(Unreadable("no")))
            case "unreadable", ReadAnswer() | ForwardAnswer():
                self.tell(AnswerFailed(Unreadable("no")))
            case "late", WatchHold():
                self.tell(WaitElapsed())
            case _:
                pass

    def leaves_before_the_store_is_asked(self, unasked: list[Kind]) -> None:
        """What the store was to record is on record, and then the end, once the store is there."""
        self.is_away, before = False, len(self.recorded)
        self.tell(CallerLeft(is_unasked=True))
        assert [draft.kind for draft in self.recorded[before:]] == [*unasked, Kind.EXCHANGE_ENDED]
        assert self.exchange.is_closed

    @precondition(lambda machine: machine.is_away)
    @rule()
    def the_store_is_back(self) -> None:
        self.is_away = False

    @invariant()
    def it_goes_to_the_model_once_and_is_begun_and_ended_once_on_record(self) -> None:
        if not hasattr(self, "exchange"):
            return
        kinds = [draft.kind for draft in self.recorded]
        assert self.forwarded <= 1
        assert kinds.count(Kind.REQUEST_RECEIVED) <= 1
        assert kinds.count(Kind.EXCHANGE_ENDED) == (1 if self.exchange.is_closed else 0)


def test_in_any_order_nothing_goes_on_that_was_not_let_through(
    request_of_alice: Request, judged: Callable[..., RequestJudged], hold_in: Callable[..., Hold]
) -> None:
    ExchangeMachine.request = request_of_alice
    ExchangeMachine.judged = staticmethod(judged)
    ExchangeMachine.hold_in = staticmethod(hold_in)
    run_state_machine_as_test(
        ExchangeMachine, settings=settings(max_examples=200, stateful_step_count=80, deadline=None)
    )
