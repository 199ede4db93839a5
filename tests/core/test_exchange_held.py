"""An exchange whose request waits for people: what an approval covers, and what ends the wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.exchange_play import AWAY, NOW, HoldIn, Judged, held, kinds, names, play, reply_of

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Command,
    Consume,
    Forward,
    ForwardAnswer,
    Judge,
    LeaveHold,
    OpenHold,
    Record,
    WatchHold,
)
from authz_service.core.events import (
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
from authz_service.core.openings import AlreadyRejected, Attached, Opened, Opening, TooManyHolds
from authz_service.core.request import Request
from authz_service.core.states import Closed
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.errors import Unreadable
from authz_service.framing.prefer import Prefer
from authz_service.policy.decision import Effect


def test_a_held_request_waits_is_judged_again_and_goes_out_as_it_was_approved(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    exchange = Exchange(request_of_alice)
    assert names(exchange.handle(BodyRead(b"body"))) == ["Judge"]
    (opened,) = exchange.handle(judged(Effect.HOLD))
    assert isinstance(opened, OpenHold)
    assert opened.draft.forward == b"forward"
    pending = hold_in(HoldState.PENDING)
    assert exchange.handle(HoldAnswered(Opened(pending))) == [WatchHold("hold_1")]
    approved = hold_in(HoldState.APPROVED)
    assert exchange.handle(HoldApproved(approved, NOW)) == [Judge(b"body", request_of_alice.caller)]
    (consume,) = exchange.handle(judged(Effect.HOLD))
    assert isinstance(consume, Consume)
    assert consume.digest == approved.digest
    assert [d.kind for d in consume.entries] == [Kind.REQUEST_DECIDED, Kind.REQUEST_RELEASED]
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), Forward(b"forward", "llama")]


def test_an_approval_does_not_cover_other_bytes_nor_another_definition(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    other = Approval("legal", (Stage("true", 2, 600.0),))
    for again in (
        judged(Effect.HOLD, forward=b"other"),
        judged(Effect.ALLOW, forward=b"other"),
        judged(Effect.HOLD, approval=other),
    ):
        events = [*held(judged, hold_in(HoldState.PENDING)), HoldApproved(hold_in(HoldState.APPROVED), NOW)]
        _, commands = play(request_of_alice, *events, again)
        assert names(commands) == ["LeaveHold", "OpenHold"]
        opened = commands[1]
        assert isinstance(opened, OpenHold)
        assert opened.draft.previous == "hold_1"


def test_an_approval_covers_the_same_request_with_other_noise_and_its_own_bytes_go_out(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    noisy = judged(Effect.HOLD, forward=b"forward, another nonce", changes=b"forward")
    approved = hold_in(HoldState.APPROVED)
    attached, told = HoldAnswered(Attached(approved)), HoldApproved(approved, NOW)
    consumed = HoldConsumed(is_ours=True)
    _, commands = play(request_of_alice, BodyRead(b"body"), noisy, attached, told, noisy, consumed)
    assert commands == [LeaveHold(), Forward(b"forward", "llama")]


def test_a_deny_of_this_moment_stands_over_the_approval(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    events = [*held(judged, hold_in(HoldState.PENDING)), HoldApproved(hold_in(HoldState.APPROVED), NOW)]
    _, commands = play(request_of_alice, *events, judged(Effect.DENY))
    assert names(commands) == ["LeaveHold", "Record", "Reply"]


def test_an_approval_that_another_exchange_used_leads_to_a_fresh_judgement(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    events = [
        *held(judged, hold_in(HoldState.PENDING)),
        HoldApproved(hold_in(HoldState.APPROVED), NOW),
        judged(Effect.HOLD),
        HoldConsumed(is_ours=False),
    ]
    exchange, commands = play(request_of_alice, *events)
    assert names(commands) == ["LeaveHold", "Judge"]
    (opened,) = exchange.handle(judged(Effect.HOLD))
    assert isinstance(opened, OpenHold)
    assert opened.draft.previous == "hold_1"


def lost(request: Request, judged: Judged, hold: Hold) -> Exchange:
    """An exchange that could not use the approval of `hold`, and asks for a hold anew."""
    events = [*held(judged, hold), HoldApproved(hold, NOW), judged(Effect.HOLD), HoldConsumed(is_ours=False)]
    exchange, _ = play(request, *events, judged(Effect.HOLD))
    return exchange


def test_an_approval_that_could_not_be_used_and_has_not_changed_is_not_tried_again(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    approved = hold_in(HoldState.APPROVED)
    exchange = lost(request_of_alice, judged, approved)
    commands = exchange.handle(HoldAnswered(Attached(approved)))
    assert names(commands) == ["Record", "Reply"]
    reply = reply_of(commands)
    assert (reply.error.status, reply.error.code) == (503, "record_damaged")
    assert reply.headers == {"x-should-retry": "false"}


def test_an_approval_that_was_taken_back_and_given_again_meanwhile_is_used(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    approved = hold_in(HoldState.APPROVED)
    exchange = lost(request_of_alice, judged, approved)
    again = replace(approved, version=approved.version + 2)
    assert names(exchange.handle(HoldAnswered(Attached(again)))) == ["WatchHold"]


@pytest.mark.parametrize(
    ("state", "code"), [(HoldState.REJECTED, "request_rejected"), (HoldState.EXPIRED, "approval_expired")]
)
def test_a_hold_that_ended_without_approval_refuses_the_request(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn, state: HoldState, code: str
) -> None:
    events = held(judged, hold_in(HoldState.PENDING))
    _, commands = play(request_of_alice, *events, HoldEnded(hold_in(state)))
    reply = reply_of(commands)
    assert (reply.error.status, reply.error.code) == (403, code)
    assert reply.headers == {"x-should-retry": "false"}


def test_a_rejection_of_a_short_while_ago_still_answers(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    rejected = HoldAnswered(AlreadyRejected(hold_in(HoldState.REJECTED)))
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.HOLD), rejected)
    assert reply_of(commands).error.code == "request_rejected"


def test_too_many_holds_are_refused(request_of_alice: Request, judged: Judged) -> None:
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.HOLD), HoldAnswered(TooManyHolds(20)))
    assert reply_of(commands).error.status == 429


def test_the_wait_on_the_connection_ends_with_an_invitation_to_come_back(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    _, commands = play(request_of_alice, *held(judged, hold_in(HoldState.PENDING)), WaitElapsed())
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    reply = reply_of(commands)
    assert (reply.error.status, reply.error.code) == (409, "approval_pending")
    assert reply.headers["x-should-retry"] == "true"
    assert int(reply.headers["retry-after"]) <= 60
    assert reply.error.details["hold"] == "hold_1"


def test_an_expired_token_does_not_use_the_approval(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    late = request_of_alice.caller.expires_at
    events = held(judged, hold_in(HoldState.PENDING))
    _, commands = play(request_of_alice, *events, HoldApproved(hold_in(HoldState.APPROVED), late))
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert reply_of(commands).error.code == "token_expired"


def test_a_token_that_expired_while_the_request_waited_is_not_let_through_by_rules_that_hold_no_more(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    late = replace(judged(Effect.ALLOW), now=request_of_alice.caller.expires_at)
    anew = [*held(judged, hold_in(HoldState.PENDING)), HoldEnded(hold_in(HoldState.SUPERSEDED))]
    for before in (anew, [BodyRead(b"body")]):  # the second as after a restart, when it is begun anew
        _, commands = play(request_of_alice, *before, late)
        assert names(commands) == ["Record", "Reply"]
        error = reply_of(commands).error
        assert (error.status, error.code) == (401, "token_expired")
        _, commands = play(request_of_alice, *before, replace(late, now=late.now - 1))
        assert names(commands) == ["Record", "Forward"]


def test_a_snapshot_approval_judges_with_the_first_identity(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    snapshot = Approval("security", (Stage("true", 1, 600.0),), snapshot=True)
    hold = hold_in(HoldState.APPROVED, approval=snapshot)
    late = request_of_alice.caller.expires_at + 1
    _, commands = play(request_of_alice, *held(judged, hold), HoldApproved(hold, late))
    assert commands == [Judge(b"body", hold.caller)]


def test_an_attached_exchange_waits_like_the_first(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    attached = HoldAnswered(Attached(hold_in(HoldState.APPROVED)))
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.HOLD), attached)
    assert commands == [WatchHold("hold_1")]


def test_a_caller_who_leaves_while_waiting_leaves_the_hold_open(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    _, commands = play(request_of_alice, *held(judged, hold_in(HoldState.PENDING)), CallerLeft())
    assert names(commands) == ["LeaveHold", "Record"]
    assert kinds(commands[1]) == [Kind.EXCHANGE_ENDED]


def test_who_prefers_not_to_wait_is_told_at_once_how_to_come_back(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    request = replace(request_of_alice, prefer=Prefer(is_async=True))
    opened = HoldAnswered(Opened(hold_in(HoldState.PENDING)))
    _, commands = play(request, BodyRead(b"body"), judged(Effect.HOLD), opened)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    reply = reply_of(commands)
    assert (reply.error.code, reply.headers["x-should-retry"]) == ("approval_pending", "false")
    assert reply.headers["preference-applied"] == "respond-async"


def test_who_prefers_not_to_wait_still_uses_an_approval_that_is_there(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    request = replace(request_of_alice, prefer=Prefer(is_async=True))
    attached = HoldAnswered(Attached(hold_in(HoldState.APPROVED)))
    _, commands = play(request, BodyRead(b"body"), judged(Effect.HOLD), attached)
    assert commands == [WatchHold("hold_1")]


def test_a_caller_chooses_how_long_to_wait(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    request = replace(request_of_alice, prefer=Prefer(wait=30))
    opened = HoldAnswered(Opened(hold_in(HoldState.PENDING)))
    exchange, commands = play(request, BodyRead(b"body"), judged(Effect.HOLD), opened)
    assert commands == [WatchHold("hold_1", 30)]
    reply = reply_of(exchange.handle(WaitElapsed()))
    assert reply.headers["preference-applied"] == "wait=30"


def answers(command: Command, judged: Judged, hold_in: HoldIn) -> list[Event]:
    """What a shell with a will of its own may bring back for a command."""
    hold = hold_in(HoldState.PENDING)
    failed: Event = StoreFailed(AWAY, answer_begun=False)
    match command:
        case Judge():
            effects = [judged(effect, forward=f) for effect in Effect for f in (b"forward", b"other")]
            return [*effects, RequestFailed(Unreadable("no"))]
        case OpenHold():
            openings: list[Opening] = [
                Opened(hold),
                Attached(hold),
                AlreadyRejected(hold_in(HoldState.REJECTED)),
            ]
            return [*(HoldAnswered(o) for o in openings), HoldAnswered(TooManyHolds(1)), failed]
        case WatchHold():
            ended = [HoldEnded(hold_in(state)) for state in (HoldState.REJECTED, HoldState.RELEASED)]
            return [HoldApproved(hold_in(HoldState.APPROVED), NOW), *ended, WaitElapsed(), CallerLeft()]
        case Consume():
            return [HoldConsumed(is_ours=True), HoldConsumed(is_ours=False), failed]
        case _:
            return []


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_is_forwarded_without_a_record_and_nothing_held_without_its_approval(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn, data: st.DataObject
) -> None:
    """Whatever order of outcomes the shell meets, over many turns of hold, loss and hold again."""
    draw = data.draw
    exchange = Exchange(request_of_alice)
    event: Event = BodyRead(b"body")
    last_judgement: Event | None = None
    has_consumed = False
    for _ in range(25):
        commands = exchange.handle(event)
        last_judgement = event if isinstance(event, RequestJudged) else last_judgement
        has_consumed = event == HoldConsumed(is_ours=True)
        for position, command in enumerate(commands):
            if isinstance(command, Forward):
                is_recorded = any(isinstance(c, Record) for c in commands[:position])
                assert isinstance(last_judgement, RequestJudged)
                allowed = last_judgement.decision.effect is Effect.ALLOW and is_recorded
                assert allowed or (has_consumed and command.body == b"forward")
                return
        choices = answers(commands[-1], judged, hold_in) if commands else []
        if exchange.is_closed or not choices:
            assert isinstance(exchange.state, Closed)
            assert not any(isinstance(c, Forward | Consume | ForwardAnswer) for c in commands)
            return
        event = draw(st.sampled_from(choices))
