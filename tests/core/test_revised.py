"""Requests that a reviewer has edited or answered, as transcripts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.audit.draft import Kind
from authz_service.core.acts import Act, ActKind, AnswerHead, Revised
from authz_service.core.commands import (
    Command,
    Consume,
    Forward,
    ForwardAnswer,
    GiveAnswer,
    Judge,
    JudgeAnswer,
    LeaveHold,
    OpenHold,
    Record,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AnswerJudged,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldConsumed,
    HoldEnded,
    RequestFailed,
    RequestJudged,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Attached, Opened
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unavailable, Unreadable
from authz_service.policy.decision import Decision, Effect

NOW = 1_800_000_000.0
Judged = Callable[..., RequestJudged]
HoldIn = Callable[..., Hold]

EDITED = b"edited"
SAID = b"said"
HEAD = AnswerHead(200, {"content-type": "application/json"})
SECURITY = Approval("security", (Stage("true", 1, 600.0),))
OTHERS = Approval("others", (Stage("true", 2, 600.0),))
ALLOW = Decision(Effect.ALLOW, "default", "", "digest")
DENY = Decision(Effect.DENY, "no", "not this", "digest")


def revised(hold: Hold, body: bytes, answer: AnswerHead | None = None) -> Hold:
    """The hold after a reviewer has put `body` in its place."""
    digest = hashlib.sha256(body).hexdigest()
    kind = ActKind.EDIT if answer is None else ActKind.RESPOND
    who = ("https://id", "rita")
    act = Act("act_1", kind, who, who, "Rita", NOW, revised=Revised(digest, {}, answer))
    return replace(hold, forward=body, digest=digest, acts=(act,), answer=answer)


@pytest.fixture
def edited(hold_in: HoldIn) -> Hold:
    return revised(hold_in(HoldState.APPROVED), EDITED)


@pytest.fixture
def answered(hold_in: HoldIn) -> Hold:
    return revised(hold_in(HoldState.APPROVED), SAID, HEAD)


def play(request: Request, *events: Event) -> tuple[Exchange, list[Command]]:
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return exchange, commands


def approved(judged: Judged, hold: Hold) -> list[Event]:
    return [
        BodyRead(b"body"),
        judged(Effect.HOLD),
        HoldAnswered(Opened(replace(hold, state=HoldState.PENDING))),
        HoldApproved(hold, NOW),
    ]


def names(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def test_the_rules_are_asked_about_what_came_and_about_what_was_made_of_it(
    request_of_alice: Request, judged: Judged, edited: Hold
) -> None:
    exchange, commands = play(request_of_alice, *approved(judged, edited))
    assert commands == [Judge(b"body", request_of_alice.caller)]
    second = exchange.handle(judged(Effect.HOLD))
    assert second == [Judge(EDITED, request_of_alice.caller, is_edited=True)]
    (consume,) = exchange.handle(judged(Effect.HOLD, forward=EDITED))
    assert isinstance(consume, Consume)
    assert consume.digest == edited.digest
    assert [d.kind for d in consume.entries] == [
        Kind.REQUEST_DECIDED,
        Kind.REQUEST_DECIDED,
        Kind.REQUEST_RELEASED,
    ]
    assert consume.entries[-1].payloads == {"body": EDITED}
    assert consume.entries[-1].data["edited"] is True
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), Forward(EDITED, "llama", {"x-authz-edited": "true"})]


@pytest.mark.parametrize("approval", [SECURITY, OTHERS])
def test_an_edit_that_the_masks_or_the_rules_of_now_would_change_is_not_released(
    request_of_alice: Request, judged: Judged, edited: Hold, approval: Approval
) -> None:
    body = EDITED if approval is OTHERS else b"masked anew"
    verdict = judged(Effect.HOLD, forward=body, approval=approval)
    _, commands = play(request_of_alice, *approved(judged, edited), judged(Effect.HOLD), verdict)
    assert names(commands) == ["LeaveHold", "OpenHold"]
    draft = commands[1].draft  # type: ignore[union-attr]  # an OpenHold, by its name
    assert (draft.forward, draft.replaces, draft.approvals) == (b"forward", edited.id, (approval,))


def test_an_edit_that_the_rules_deny_by_now_is_refused(
    request_of_alice: Request, judged: Judged, edited: Hold
) -> None:
    events = [*approved(judged, edited), judged(Effect.HOLD), judged(Effect.DENY, forward=EDITED)]
    _, commands = play(request_of_alice, *events)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]


def test_the_edit_of_another_request_is_no_ones(
    request_of_alice: Request, judged: Judged, edited: Hold
) -> None:
    events = [*approved(judged, edited), judged(Effect.HOLD, forward=b"other")]
    _, commands = play(request_of_alice, *events)
    assert names(commands) == ["LeaveHold", "OpenHold"]


def test_a_persons_answer_is_judged_recorded_and_given_and_nothing_is_forwarded(
    request_of_alice: Request, judged: Judged, answered: Hold
) -> None:
    exchange, commands = play(request_of_alice, *approved(judged, answered), judged(Effect.HOLD))
    assert commands == [JudgeAnswer(answered, request_of_alice.caller)]
    (consume,) = exchange.handle(AnswerJudged(SAID, ALLOW, {}, {}, "hold_3", given=SAID))
    assert isinstance(consume, Consume)
    kinds = [d.kind for d in consume.entries]
    assert kinds[0] == Kind.REQUEST_DECIDED
    assert kinds[-2:] == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]
    assert consume.entries[-1].data["outcome"] == "responded"
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), GiveAnswer(HEAD, SAID, {"x-authz-responded": "true"})]


def test_a_persons_answer_that_the_rules_deny_by_now_is_refused(
    request_of_alice: Request, judged: Judged, answered: Hold
) -> None:
    events = [*approved(judged, answered), judged(Effect.HOLD)]
    denied = AnswerJudged(SAID, DENY, {}, {}, "hold_3", given=SAID)
    _, commands = play(request_of_alice, *events, denied)
    (reply,) = [command for command in commands if isinstance(command, Reply)]
    assert reply.error.code == "answer_denied"


def test_a_persons_answer_that_the_masks_of_now_would_change_is_asked_about_again(
    request_of_alice: Request, judged: Judged, answered: Hold
) -> None:
    events = [*approved(judged, answered), judged(Effect.HOLD)]
    other = AnswerJudged(b"masked anew", ALLOW, {}, {}, "hold_3", given=b"masked anew")
    _, commands = play(request_of_alice, *events, other)
    assert names(commands) == ["LeaveHold", "OpenHold"]
    draft = commands[1].draft  # type: ignore[union-attr]  # an OpenHold, by its name
    assert (draft.forward, draft.answer, draft.replaces) == (b"forward", None, answered.id)


def test_an_answer_of_a_persons_that_another_exchange_used_is_asked_for_anew(
    request_of_alice: Request, judged: Judged, answered: Hold
) -> None:
    events = [*approved(judged, answered), judged(Effect.HOLD)]
    exchange, _ = play(request_of_alice, *events, AnswerJudged(SAID, ALLOW, {}, {}, "hold_3", given=SAID))
    lost = exchange.handle(HoldConsumed(is_ours=False))
    assert lost == [LeaveHold(), Judge(b"body", request_of_alice.caller)]


def outcomes(command: Command, judged: Judged, holds: list[Hold]) -> list[Event]:
    """What a shell with a will of its own may bring back for a command."""
    match command:
        case Judge():
            bodies, approvals = (b"forward", EDITED, b"other"), (SECURITY, OTHERS)
            return [
                *(judged(e, forward=b, approval=a) for e in Effect for b in bodies for a in approvals),
                RequestFailed(Unreadable("no")),
            ]
        case JudgeAnswer():
            return [
                AnswerJudged(body, decision, {}, {}, "hold_3", given=body)
                for body in (SAID, b"other")
                for decision in (ALLOW, DENY)
            ]
        case OpenHold():
            pending = replace(holds[0], state=HoldState.PENDING)
            return [HoldAnswered(Opened(pending)), HoldAnswered(Attached(holds[1]))]
        case WatchHold():
            return [
                *(HoldApproved(hold, NOW) for hold in holds),
                WaitElapsed(),
                CallerLeft(),
                HoldEnded(holds[0]),
            ]
        case Consume():
            away = StoreFailed(Unavailable("away"), answer_begun=False)
            return [HoldConsumed(is_ours=True), HoldConsumed(is_ours=False), away]
        case _:
            return []


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_bytes_that_were_approved_and_judged_as_such_go_anywhere(
    request_of_alice: Request,
    judged: Judged,
    hold_in: HoldIn,
    edited: Hold,
    answered: Hold,
    data: st.DataObject,
) -> None:
    """Whatever order of edits, answers, approvals, losses and changes of rules the shell meets."""
    holds = [hold_in(HoldState.APPROVED), edited, answered]
    exchange = Exchange(request_of_alice)
    event: Event = BodyRead(b"body")
    last_approved: Hold | None = None
    judged_bodies: dict[bytes, RequestJudged] = {}
    asked: bytes = b""
    last_answer: AnswerJudged | None = None
    for _ in range(25):
        if isinstance(event, HoldApproved):
            last_approved, judged_bodies, last_answer = event.hold, {}, None
        if isinstance(event, RequestJudged):
            judged_bodies[asked] = event
        last_answer = event if isinstance(event, AnswerJudged) else last_answer
        commands = exchange.handle(event)
        for position, command in enumerate(commands):
            if isinstance(command, Judge):
                asked = command.body
            if isinstance(command, Forward) and event == HoldConsumed(is_ours=True):
                assert last_approved is not None
                assert command.body == last_approved.forward
                assert not last_approved.is_response
                verdict = judged_bodies[EDITED if last_approved.is_edited else b"body"]
                assert verdict.inspection is not None
                assert verdict.inspection.forward == command.body
                assert verdict.decision.effect is Effect.ALLOW or verdict.approvals == (SECURITY,)
                assert judged_bodies[b"body"].decision.effect is not Effect.DENY
                return
            if isinstance(command, Forward):
                assert isinstance(commands[position - 1], Record)
                assert judged_bodies[b"body"].decision.effect is Effect.ALLOW
                return
            if isinstance(command, GiveAnswer | ForwardAnswer):
                assert event == HoldConsumed(is_ours=True)
                assert last_approved is not None
                assert last_approved.is_response
                assert last_answer is not None
                assert last_answer.decision.effect is Effect.ALLOW
                assert command.body == SAID == last_answer.body
                return
        if exchange.is_closed or not commands:
            return
        event = data.draw(st.sampled_from(outcomes(commands[-1], judged, holds)))
