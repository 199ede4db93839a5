"""An exchange that a grant lets through, and those that none does."""

from __future__ import annotations

from dataclasses import replace

from tests.core.exchange_play import ANSWER, AWAY, NOW, HoldIn, Judged, held, names, opened, play, reply_of

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Forward,
    LeaveHold,
    ReadAnswer,
)
from authz_service.core.events import (
    BodyRead,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldEnded,
    StoreFailed,
)
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Granted, Opened
from authz_service.core.request import Request
from authz_service.core.stored_holds import HoldState
from authz_service.policy.decision import Effect, RuleOutcome


def test_what_a_grant_covers_is_forwarded_as_it_was_recorded(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.HOLD))
    draft = opened(commands)
    assert draft.traits is not None
    assert draft.traits.rules == ("the-rule",)
    assert draft.release is not None
    assert (draft.release.kind, draft.release.payloads) == (Kind.REQUEST_RELEASED, {"body": b"forward"})
    assert exchange.handle(HoldAnswered(Granted("grant_1"))) == [Forward(b"forward", "llama")]
    (read,) = exchange.handle(ANSWER)
    assert isinstance(read, ReadAnswer)


def test_the_rules_that_hold_a_request_are_its_kind_and_no_others(
    request_of_alice: Request, judged: Judged
) -> None:
    held = judged(Effect.HOLD)
    outcomes = (
        RuleOutcome("staff", Effect.ALLOW, matched=True),
        RuleOutcome("tools", Effect.HOLD, matched=True),
        RuleOutcome("the-rule", Effect.HOLD, matched=True),
        RuleOutcome("idle", Effect.HOLD, matched=False),
        RuleOutcome("tried", Effect.HOLD, matched=True, shadow=True),
    )
    held = replace(held, decision=replace(held.decision, outcomes=outcomes))
    _, commands = play(request_of_alice, BodyRead(b"body"), held)
    traits = opened(commands).traits
    assert traits is not None
    assert traits.rules == ("the-rule", "tools")


def test_no_grant_covers_what_an_approval_was_lost_for_though_the_rules_would_allow_it(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    """The bytes are others than those that were approved, and nobody was asked about a hold of them."""
    hold = hold_in(HoldState.APPROVED)
    _, commands = play(
        request_of_alice,
        BodyRead(b"body"),
        judged(Effect.HOLD),
        HoldAnswered(Opened(hold)),
        HoldApproved(hold, NOW),
        judged(Effect.ALLOW, forward=b"other"),
    )
    leave, *rest = commands
    assert leave == LeaveHold()
    draft = opened(rest)
    assert (draft.traits, draft.release) == (None, None)


def test_a_request_whose_hold_a_grant_superseded_is_judged_anew_and_goes_through(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    exchange, commands = play(
        request_of_alice,
        BodyRead(b"body"),
        judged(Effect.HOLD),
        HoldAnswered(Opened(hold_in(HoldState.PENDING))),
        HoldEnded(hold_in(HoldState.SUPERSEDED)),
    )
    assert names(commands) == ["LeaveHold", "Judge"]
    draft = opened(exchange.handle(judged(Effect.HOLD)))
    assert draft.release is not None
    assert exchange.handle(HoldAnswered(Granted("grant_1"))) == [Forward(b"forward", "llama")]


def test_a_second_grant_lets_who_waits_again_through(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    pending, gone = hold_in(HoldState.PENDING), hold_in(HoldState.SUPERSEDED)
    begin: list[Event] = [judged(Effect.HOLD), HoldAnswered(Opened(pending))]
    once = [*begin, HoldEnded(replace(gone, superseded_by="grant_1"))]
    _, commands = play(request_of_alice, BodyRead(b"body"), *once, *once, *once)
    assert names(commands) == ["LeaveHold", "Judge"]
    other = [*begin, HoldEnded(replace(gone, superseded_by="hold_2"))]
    _, commands = play(request_of_alice, BodyRead(b"body"), *once, *other)
    assert names(commands) == ["LeaveHold", "Judge"]
    _, commands = play(request_of_alice, BodyRead(b"body"), *other, *once, *other)
    assert reply_of(commands).error.code == "hold_superseded"


def test_under_the_first_identity_no_grant_is_looked_for(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    """The rules were asked about who alice was: as she is now, they may deny it."""
    snapshot = Approval("security", (Stage("true", 1, 600.0),), snapshot=True)
    other = Approval("other", (Stage("true", 1, 600.0),))
    for approval, is_looked_for in ((snapshot, False), (replace(snapshot, snapshot=False), True)):
        hold = hold_in(HoldState.APPROVED, approval=approval)
        exchange, _ = play(request_of_alice, *held(judged, hold), HoldApproved(hold, NOW))
        commands = exchange.handle(judged(Effect.HOLD, approval=other))
        assert names(commands) == ["LeaveHold", "OpenHold"]
        draft = opened(commands[1:])
        assert (draft.release is not None) is is_looked_for
        assert draft.traits is not None


def test_a_grant_is_no_answer_for_one_that_is_to_be_denied_now(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    _, commands = play(
        request_of_alice,
        BodyRead(b"body"),
        judged(Effect.HOLD),
        HoldAnswered(Opened(hold_in(HoldState.PENDING))),
        HoldEnded(hold_in(HoldState.SUPERSEDED)),
        judged(Effect.DENY),
    )
    assert reply_of(commands).error.code == "request_denied"


def test_a_release_under_a_grant_that_was_not_committed_forwards_nothing(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, _ = play(request_of_alice, BodyRead(b"body"), judged(Effect.HOLD))
    commands = exchange.handle(StoreFailed(AWAY, answer_begun=False))
    assert "Forward" not in names(commands)
    assert reply_of(commands).error.status == 503
