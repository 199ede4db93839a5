"""Answers that are not released: withheld, denied, used by another, of a token that ended."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.held_answers_play import (
    ALLOW,
    DENY,
    HEAD,
    HOLD,
    NOW,
    OTHERS,
    SECURITY,
    STARTED,
    HoldIn,
    Judged,
    again,
    answers,
    asked,
    held,
    names,
    opened,
    piece,
    play,
    reply_of,
)

from authz_service.core.commands import (
    CutAnswer,
    ForwardAnswer,
    GiveAnswer,
    LeaveHold,
    Record,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFailed,
    AnswerFound,
    AnswerJudged,
    AnswerRead,
    BodyRead,
    Event,
    HoldApproved,
    HoldConsumed,
    HoldEnded,
)
from authz_service.core.exchange import Exchange
from authz_service.core.openings import AlreadyRejected
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unauthenticated, Unavailable
from authz_service.policy.decision import Effect


def test_a_withheld_answer_is_not_asked_for_again_while_the_rejection_stands(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    rejected = AlreadyRejected(hold_in(HoldState.REJECTED, answer=HEAD))
    found = AnswerFound(rejected)
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW, holds_answers=True), found)
    assert names(commands) == ["Record", "Reply"]
    assert "withheld the answer" in reply_of(commands).error.message


@pytest.mark.parametrize(
    ("judgement", "previous"),
    [
        (again(HOLD, body=b"masked anew"), b"masked anew"),
        (again(HOLD, approval=OTHERS), b"forward"),
        (again(ALLOW, body=b"masked anew"), b"masked anew"),
    ],
)
def test_an_approval_of_other_bytes_or_by_others_than_the_rules_ask_now_is_not_used(
    request_of_alice: Request,
    judged: Judged,
    waiting: Hold,
    approved: Hold,
    judgement: AnswerJudged,
    previous: bytes,
) -> None:
    events = [*held(judged, waiting), HoldApproved(approved, NOW), judgement]
    exchange, commands = play(request_of_alice, *events)
    assert names(commands) == ["LeaveHold", "OpenHold"]
    draft = commands[1].draft  # type: ignore[union-attr]  # an OpenHold, by its name
    assert (draft.forward, draft.replaces) == (previous, "hold_2")
    assert exchange.handle(opened(waiting)) == [WatchHold("hold_2", is_answer=True)]


def test_an_answer_that_the_rules_deny_by_now_is_not_released(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    events = [*held(judged, waiting), HoldApproved(approved, NOW), again(DENY)]
    _, commands = play(request_of_alice, *events)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert reply_of(commands).error.code == "answer_denied"


def test_a_deny_in_the_midst_of_an_answer_ends_it_at_once(request_of_alice: Request, judged: Judged) -> None:
    _, commands = play(request_of_alice, *asked(judged), STARTED, piece(b"one", HOLD), piece(b"two", DENY))
    assert names(commands) == ["Record", "Reply"]


def test_an_expired_token_leaves_the_approval_of_an_answer_unused(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    late = HoldApproved(approved, request_of_alice.caller.expires_at)
    _, commands = play(request_of_alice, *held(judged, waiting), late)
    assert reply_of(commands).error.code == "token_expired"


def test_a_withdrawn_token_gets_no_answer(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    failed = AnswerFailed(Unauthenticated("The token was withdrawn.", code="token_revoked"))
    _, commands = play(request_of_alice, *held(judged, waiting), HoldApproved(approved, NOW), failed)
    assert (reply_of(commands).error.status, reply_of(commands).error.code) == (401, "token_revoked")


def test_rules_that_wait_for_the_record_leave_the_approval_of_an_answer_unused(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    failed = AnswerFailed(Unavailable("New rules wait for the record.", code="rules_pending"))
    _, commands = play(request_of_alice, *held(judged, waiting), HoldApproved(approved, NOW), failed)
    assert (reply_of(commands).error.status, reply_of(commands).error.code) == (503, "rules_pending")
    assert "Consume" not in names(commands)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (HoldState.REJECTED, "request_rejected"),
        (HoldState.EXPIRED, "approval_expired"),
        (HoldState.SUPERSEDED, "hold_superseded"),
        (HoldState.RELEASED, "answer_given"),
    ],
)
def test_an_answer_that_is_not_released_here_is_withheld(
    request_of_alice: Request, judged: Judged, waiting: Hold, hold_in: HoldIn, state: HoldState, code: str
) -> None:
    ended = HoldEnded(hold_in(state, answer=HEAD))
    _, commands = play(request_of_alice, *held(judged, waiting), ended)
    assert reply_of(commands).error.code == code


def test_an_approval_that_another_used_releases_nothing(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    events = [*held(judged, waiting), HoldApproved(approved, NOW), again(HOLD), HoldConsumed(is_ours=False)]
    _, commands = play(request_of_alice, *events)
    assert reply_of(commands).error.code == "answer_given"


def test_a_rule_that_came_with_the_answer_withholds_it(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [BodyRead(b"body"), judged(Effect.ALLOW), STARTED, piece(b"one", HOLD)]
    _, commands = play(request_of_alice, *events)
    assert reply_of(commands).error.code == "rules_changed"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_answer_that_a_rule_holds_is_released_but_by_its_approval(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn, data: st.DataObject
) -> None:
    """Whatever order of outcomes the shell meets."""
    exchange = Exchange(request_of_alice)
    exchange.handle(BodyRead(b"body"))
    event: Event = judged(Effect.ALLOW, holds_answers=True)
    was_held = False
    last: AnswerJudged | None = None
    for _ in range(25):
        commands = exchange.handle(event)
        was_held |= isinstance(event, AnswerRead) and event.decision == HOLD
        last = event if isinstance(event, AnswerJudged) else last
        for position, command in enumerate(commands):
            assert not isinstance(command, CutAnswer)
            if isinstance(command, ForwardAnswer | GiveAnswer):
                if event != HoldConsumed(is_ours=True):
                    assert not was_held
                    assert isinstance(commands[position - 1], Record)
                else:
                    assert last is not None
                    assert last.decision.effect is not Effect.DENY
                    assert command.body == b"forward" == last.body
                    assert last.decision.effect is Effect.ALLOW or last.approvals == (SECURITY,)
                return
        if exchange.is_closed:
            return
        choices = answers(commands[-1] if commands else LeaveHold(), hold_in, judged)
        event = data.draw(st.sampled_from(choices))
