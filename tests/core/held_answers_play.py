"""What tests of answers that wait share: events that are played, and what the commands say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.core.acts import AnswerHead
from authz_service.core.commands import (
    Command,
    Consume,
    FindAnswer,
    Forward,
    JudgeAnswer,
    OpenHold,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFound,
    AnswerJudged,
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
    RequestJudged,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import AlreadyRejected, Attached, Opened, TooManyHolds
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unavailable
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect

NOW = 1_800_000_000.0


Judged = Callable[..., RequestJudged]


HoldIn = Callable[..., Hold]


HEAD = AnswerHead(200, {"content-type": "application/json"})


STARTED = AnswerStarted(HEAD.status, HEAD.headers, is_last=False)


SECURITY = Approval("security", (Stage("true", 1, 600.0),))


OTHERS = Approval("others", (Stage("true", 2, 600.0),))


ALLOW = Decision(Effect.ALLOW, "default", "", "digest")


HOLD = Decision(Effect.HOLD, "review-answers", "", "digest", ("security",))


DENY = Decision(Effect.DENY, "no", "not this", "digest")


def piece(release: bytes, decision: Decision | None = None, *, is_last: bool = False) -> AnswerRead:
    approvals = (SECURITY,) if decision is not None and decision.effect is Effect.HOLD else ()
    return AnswerRead(AnswerStep(release, {}, {}, is_last=is_last), decision, approvals, "hold_2", NOW)


def again(decision: Decision, *, body: bytes = b"forward", approval: Approval = SECURITY) -> AnswerJudged:
    approvals = (approval,) if decision.effect is Effect.HOLD else ()
    return AnswerJudged(body, decision, {}, {}, "hold_3", body, approvals)


def play(request: Request, *events: Event) -> tuple[Exchange, list[Command]]:
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return exchange, commands


def asked(judged: Judged, effect: Effect = Effect.ALLOW) -> list[Event]:
    """A request whose answer may be held, and is not there yet."""
    return [BodyRead(b"body"), judged(effect, holds_answers=True), AnswerFound(None)]


def held(judged: Judged, hold: Hold) -> list[Event]:
    """An answer that waits."""
    return [*asked(judged), STARTED, piece(b"for"), piece(b"ward", HOLD, is_last=True), opened(hold)]


def attached(judged: Judged, hold: Hold) -> list[Event]:
    """The same request once more."""
    return [BodyRead(b"body"), judged(Effect.ALLOW, holds_answers=True), AnswerFound(Attached(hold))]


def opened(hold: Hold) -> HoldAnswered:
    return HoldAnswered(Opened(hold))


def names(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def reply_of(commands: list[Command]) -> Reply:
    (reply,) = [command for command in commands if isinstance(command, Reply)]
    return reply


@pytest.fixture
def waiting(hold_in: HoldIn) -> Hold:
    return hold_in(HoldState.PENDING, hold_id="hold_2", answer=HEAD)


@pytest.fixture
def approved(hold_in: HoldIn) -> Hold:
    return hold_in(HoldState.APPROVED, hold_id="hold_2", answer=HEAD)


def answers(command: Command, hold_in: HoldIn, judged: Judged) -> list[Event]:
    """What a shell with a will of its own may bring back for a command."""
    pending, ready = hold_in(HoldState.PENDING, answer=HEAD), hold_in(HoldState.APPROVED, answer=HEAD)
    away: Event = StoreFailed(Unavailable("away"), answer_begun=False)
    match command:
        case FindAnswer():
            found: list[Attached | AlreadyRejected | None] = [
                Attached(pending),
                Attached(ready),
                AlreadyRejected(hold_in(HoldState.REJECTED)),
                None,
            ]
            return [*(AnswerFound(f) for f in found), away]
        case Forward():
            return [STARTED]
        case OpenHold():
            return [opened(pending), HoldAnswered(Attached(ready)), HoldAnswered(TooManyHolds(1)), away]
        case WatchHold():
            ended = [HoldEnded(hold_in(state, answer=HEAD)) for state in HoldState]
            return [HoldApproved(ready, NOW), *ended, WaitElapsed(), CallerLeft(), Killed("x")]
        case JudgeAnswer():
            bodies = (b"forward", b"other")
            return [
                again(d, body=b, approval=a)
                for d in (ALLOW, HOLD, DENY)
                for b in bodies
                for a in (SECURITY, OTHERS)
            ]
        case Consume():
            return [HoldConsumed(is_ours=True), HoldConsumed(is_ours=False), away]
        case _:
            pieces = [
                piece(b"x", d, is_last=last) for d in (None, ALLOW, HOLD, DENY) for last in (False, True)
            ]
            return [p for p in pieces if not p.step.is_last or p.decision is not None]
