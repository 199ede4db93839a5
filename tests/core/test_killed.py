"""An operator ends an exchange in any of its states: nothing goes on after it, and its end is on record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Command,
    CutAnswer,
    Forward,
    ForwardAnswer,
    LeaveHold,
    Record,
    RecordLater,
    Reply,
)
from authz_service.core.events import (
    AnswerFound,
    AnswerRead,
    AnswerStarted,
    BodyRead,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldEnded,
    Killed,
    RequestJudged,
    StoreFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Opened
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unavailable
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect
from authz_service.view.answer import Usage

Judged = Callable[..., RequestJudged]
HoldIn = Callable[..., Hold]

KILLED = Killed("It loops.")
STARTED = AnswerStarted(200, {"content-type": "text/event-stream"}, is_last=False)


def piece(release: bytes, *, is_last: bool = False, decision: Decision | None = None) -> AnswerRead:
    step = AnswerStep(release, {}, {}, is_last=is_last, usage=Usage(3, 5))
    approvals = (Approval("security", (Stage("true", 1, 600.0),)),) if decision else ()
    return AnswerRead(step, decision, approvals, new_hold="hold_2")


def run(request: Request, *events: Event) -> list[Command]:
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    assert exchange.is_closed
    assert exchange.handle(piece(b"late")) == []
    assert exchange.handle(KILLED) == []
    return commands


def recorded(commands: list[Command]) -> list[tuple[Kind, object]]:
    """What is recorded, with the code or the outcome."""
    drafts = [draft for c in commands if isinstance(c, Record | RecordLater) for draft in c.drafts]
    return [(draft.kind, draft.data.get("code") or draft.data.get("outcome")) for draft in drafts]


def test_one_that_waits_for_people_is_refused_and_leaves_its_hold(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    pending = HoldAnswered(Opened(hold_in(HoldState.PENDING)))
    commands = run(request_of_alice, BodyRead(b"body"), judged(Effect.HOLD), pending, KILLED)
    assert recorded(commands) == [
        (Kind.REQUEST_REFUSED, "ended_by_operator"),
        (Kind.EXCHANGE_ENDED, "killed"),
    ]
    assert isinstance(commands[0], LeaveHold)
    reply = commands[-1]
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.error.code) == (403, "ended_by_operator")
    assert "It loops." in reply.error.message
    assert reply.headers["x-should-retry"] == "false"


def test_whose_hold_was_ended_is_refused_though_the_order_has_not_come_and_no_rule_is_asked_again(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    exchange = Exchange(request_of_alice)
    exchange.handle(BodyRead(b"body"))
    exchange.handle(judged(Effect.HOLD))
    exchange.handle(HoldAnswered(Opened(hold_in(HoldState.PENDING))))
    commands = exchange.handle(HoldEnded(hold_in(HoldState.KILLED)))
    assert recorded(commands) == [
        (Kind.REQUEST_REFUSED, "ended_by_operator"),
        (Kind.EXCHANGE_ENDED, "killed"),
    ]
    assert exchange.is_closed
    assert exchange.handle(KILLED) == []


@pytest.mark.parametrize("before", [[], [STARTED], [STARTED, piece(b"")]])
def test_one_whose_answer_has_not_reached_the_caller_is_answered_with_an_error(
    request_of_alice: Request, judged: Judged, before: list[Event]
) -> None:
    commands = run(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), *before, KILLED)
    assert recorded(commands) == [
        (Kind.ANSWER_REFUSED, "ended_by_operator"),
        (Kind.EXCHANGE_ENDED, "killed"),
    ]
    assert isinstance(commands[-1], Reply)


def test_one_that_answers_is_cut_off_and_what_was_counted_stays(
    request_of_alice: Request, judged: Judged
) -> None:
    commands = run(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), STARTED, piece(b"one"), KILLED)
    assert isinstance(commands[-1], CutAnswer)
    record = commands[1]
    assert isinstance(record, Record)
    assert record.drafts[-1].data == {
        "outcome": "killed",
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "bytes": 7,
    }


@pytest.mark.parametrize("is_complete", [False, True])
def test_a_held_answer_never_goes_out(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn, is_complete: bool
) -> None:
    decision = Decision(Effect.HOLD, "later", "because", "digest", ("security",))
    first = piece(b"secret", decision=decision)
    rest: list[Event] = [piece(b" thing", is_last=True)] if is_complete else []
    rest += [HoldAnswered(Opened(hold_in(HoldState.PENDING)))] if is_complete else []
    asked: list[Event] = [BodyRead(b"body"), judged(Effect.ALLOW, holds_answers=True), AnswerFound(None)]
    commands = run(request_of_alice, *asked, STARTED, first, *rest, KILLED)
    assert isinstance(commands[-1], Reply)
    assert not any(isinstance(c, Forward | ForwardAnswer) for c in commands)


def test_an_approval_that_comes_after_it_is_not_used(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    exchange = Exchange(request_of_alice)
    pending = HoldAnswered(Opened(hold_in(HoldState.PENDING)))
    for event in (BodyRead(b"body"), judged(Effect.HOLD), pending, KILLED):
        exchange.handle(event)
    assert exchange.handle(HoldApproved(hold_in(HoldState.APPROVED), 1.0)) == []


def test_an_end_that_cannot_be_recorded_still_ends_it(request_of_alice: Request, judged: Judged) -> None:
    exchange = Exchange(request_of_alice)
    for event in (BodyRead(b"body"), judged(Effect.ALLOW), STARTED, piece(b"one"), KILLED):
        exchange.handle(event)
    commands = exchange.handle(StoreFailed(Unavailable("The store is away."), answer_begun=True))
    assert recorded(commands)[-1] == (Kind.EXCHANGE_ENDED, "store_failed")
    assert type(commands[-1]).__name__ == "Abort"
