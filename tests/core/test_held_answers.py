"""Answers that wait for people, as transcripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.core.held_answers_play import (
    ALLOW,
    HEAD,
    HOLD,
    NOW,
    STARTED,
    Judged,
    again,
    asked,
    attached,
    held,
    names,
    opened,
    piece,
    play,
    reply_of,
)

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Consume,
    FindAnswer,
    ForwardAnswer,
    GiveAnswer,
    JudgeAnswer,
    LeaveHold,
    OpenHold,
    Record,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFound,
    AnswerStarted,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldConsumed,
    Killed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.openings import Attached
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold
from authz_service.framing.prefer import Prefer
from authz_service.policy.decision import Effect


def test_nothing_of_an_answer_that_may_be_held_goes_on_before_it_has_ended(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, commands = play(request_of_alice, *asked(judged))
    assert names(commands) == ["Record", "Forward"]
    assert names(exchange.handle(STARTED)) == ["ReadAnswer"]
    assert exchange.handle(piece(b"one", ALLOW)) == []
    assert exchange.handle(piece(b"two")) == []
    record, forward = exchange.handle(piece(b"three", ALLOW, is_last=True))
    assert isinstance(record, Record)
    assert [d.kind for d in record.drafts][-2:] == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]
    assert forward == ForwardAnswer(b"onetwothree", is_last=True)


def test_what_the_model_server_keeps_of_a_held_answer_is_recorded_with_the_hold(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, replace(piece(b"for"), kept=("one",)))
    (open_hold,) = exchange.handle(piece(b"ward", HOLD, is_last=True))
    assert isinstance(open_hold, OpenHold)
    recorded = [d.kind for d in open_hold.draft.entries]
    assert recorded == [Kind.ANSWER_STARTED, Kind.ANSWER_DECIDED, Kind.ANSWER_KEPT]
    whole, _ = play(request_of_alice, *asked(judged), STARTED, replace(piece(b"for"), kept=("one",)))
    (record, _) = whole.handle(piece(b"ward", ALLOW, is_last=True))
    assert isinstance(record, Record)
    assert Kind.ANSWER_KEPT in [d.kind for d in record.drafts]


def test_an_answer_waits_whole_is_judged_again_and_goes_out_as_it_was_approved(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, piece(b"for", HOLD))
    (open_hold,) = exchange.handle(piece(b"ward", ALLOW, is_last=True))  # one rule said hold: it is held
    assert isinstance(open_hold, OpenHold)
    assert (open_hold.draft.forward, open_hold.draft.answer) == (b"forward", HEAD)
    assert [d.kind for d in open_hold.draft.entries] == [Kind.ANSWER_STARTED, Kind.ANSWER_DECIDED]
    assert exchange.handle(opened(waiting)) == [WatchHold("hold_2", is_answer=True)]
    (judge,) = exchange.handle(HoldApproved(approved, NOW))
    assert judge == JudgeAnswer(approved, request_of_alice.caller)
    (consume,) = exchange.handle(again(HOLD))
    assert isinstance(consume, Consume)
    kinds = [Kind.ANSWER_DECIDED, Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]
    assert [d.kind for d in consume.entries] == kinds
    assert consume.entries[1].data["hold"] == "hold_2"
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), ForwardAnswer(b"forward", is_last=True)]


def test_the_same_request_waits_for_that_very_answer_and_the_model_is_not_asked(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange = Exchange(request_of_alice)
    exchange.handle(BodyRead(b"body"))
    (find,) = exchange.handle(judged(Effect.HOLD, holds_answers=True))
    assert isinstance(find, FindAnswer)
    assert [d.kind for d in find.wanted.entries] == [Kind.REQUEST_RECEIVED, Kind.REQUEST_DECIDED]
    assert exchange.handle(AnswerFound(Attached(waiting))) == [WatchHold("hold_2", is_answer=True)]
    exchange.handle(HoldApproved(approved, NOW))
    (consume,) = exchange.handle(again(ALLOW))
    assert isinstance(consume, Consume)
    assert Kind.ANSWER_STARTED in [d.kind for d in consume.entries]
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), GiveAnswer(HEAD, b"forward")]


def test_the_fingerprint_of_an_answer_is_the_one_that_its_request_is_looked_for_by(
    request_of_alice: Request, judged: Judged
) -> None:
    _, (find,) = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW, holds_answers=True))
    _, (open_hold,) = play(request_of_alice, *asked(judged), STARTED, piece(b"x", HOLD, is_last=True))
    assert isinstance(find, FindAnswer)
    assert isinstance(open_hold, OpenHold)
    looked_for = (find.wanted.fingerprint, find.wanted.changes)
    assert looked_for == (open_hold.draft.fingerprint, open_hold.draft.changes)


def test_a_request_without_an_answer_that_waits_is_recorded_with_its_release(
    request_of_alice: Request, judged: Judged
) -> None:
    _, (record, _) = play(request_of_alice, *asked(judged))
    assert isinstance(record, Record)
    kinds = [Kind.REQUEST_RECEIVED, Kind.REQUEST_DECIDED, Kind.REQUEST_RELEASED]
    assert [d.kind for d in record.drafts] == kinds


def test_a_denied_request_gets_no_answer_that_waits(request_of_alice: Request, judged: Judged) -> None:
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.DENY, holds_answers=True))
    assert names(commands) == ["Record", "Reply"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (WaitElapsed(), "approval_pending"),
        (Killed("enough"), "ended_by_operator"),
    ],
)
@pytest.mark.parametrize("way", [held, attached])
def test_who_waits_for_an_answer_is_told_what_became_of_it(
    request_of_alice: Request,
    judged: Judged,
    waiting: Hold,
    way: Callable[[Judged, Hold], list[Event]],
    event: Event,
    code: str,
) -> None:
    exchange, commands = play(request_of_alice, *way(judged, waiting), event)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert reply_of(commands).error.code == code
    assert exchange.is_closed


def test_who_prefers_not_to_wait_for_an_answer_is_told_at_once(
    request_of_alice: Request, judged: Judged, waiting: Hold
) -> None:
    request = replace(request_of_alice, prefer=Prefer(is_async=True))
    _, commands = play(request, *held(judged, waiting))
    assert reply_of(commands).headers["preference-applied"] == "respond-async"


def test_another_kind_of_answer_is_not_put_behind_a_head_that_came(
    request_of_alice: Request, judged: Judged, waiting: Hold
) -> None:
    busy = AnswerStarted(503, HEAD.headers, is_last=False)
    events: list[Event] = [
        *asked(judged),
        busy,
        piece(b"x", HOLD, is_last=True),
        HoldAnswered(Attached(waiting)),
    ]
    _, commands = play(request_of_alice, *events)
    assert reply_of(commands).error.code == "approval_pending"


def test_only_who_has_no_answer_of_the_model_may_be_begun_anew(
    request_of_alice: Request, judged: Judged, waiting: Hold
) -> None:
    assert not play(request_of_alice, *held(judged, waiting))[0].can_be_resumed
    assert play(request_of_alice, *attached(judged, waiting))[0].can_be_resumed


@pytest.mark.parametrize("is_anew", [False, True])
def test_who_leaves_before_the_store_is_asked_for_its_hold_leaves_on_record_what_was_decided(
    request_of_alice: Request, judged: Judged, approved: Hold, is_anew: bool
) -> None:
    events: list[Event] = [*asked(judged), STARTED, piece(b"for"), piece(b"ward", HOLD, is_last=True)]
    if is_anew:
        events += [opened(approved), HoldApproved(approved, NOW), again(HOLD, body=b"other")]
    exchange, commands = play(request_of_alice, *events)
    assert isinstance(commands[-1], OpenHold)
    (record,) = exchange.handle(CallerLeft(is_unasked=True))
    assert isinstance(record, Record)
    assert record.drafts[:-1] == commands[-1].draft.entries
    assert [draft.kind for draft in record.drafts[:-1]] == (
        [Kind.ANSWER_DECIDED] if is_anew else [Kind.ANSWER_STARTED, Kind.ANSWER_DECIDED]
    )
    assert record.drafts[-1].data["outcome"] == "client_left"
    assert exchange.is_closed
