"""The life of an exchange as transcripts: events in, commands out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Command,
    Consume,
    CutAnswer,
    Forward,
    ForwardAnswer,
    Judge,
    LeaveHold,
    OpenHold,
    ReadAnswer,
    Record,
    RecordLater,
    Reply,
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
    RequestFailed,
    RequestJudged,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange, IllegalEvent
from authz_service.core.holds import Approval, Stage
from authz_service.core.ports import (
    AlreadyRejected,
    Attached,
    Granted,
    Hold,
    HoldDraft,
    HoldState,
    Opened,
    Opening,
    TooManyHolds,
)
from authz_service.core.request import Request
from authz_service.core.states import Closed
from authz_service.errors import Unavailable, Unreadable
from authz_service.framing.prefer import Prefer
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect, RuleOutcome

NOW = 1_800_000_000.0
Judged = Callable[..., RequestJudged]
HoldIn = Callable[..., Hold]
AWAY = Unavailable("The store is away.")


def names(commands: list[Command]) -> list[str]:
    return [type(command).__name__ for command in commands]


def kinds(command: Command) -> list[Kind]:
    assert isinstance(command, Record | RecordLater)
    return [draft.kind for draft in command.drafts]


def reply_of(commands: list[Command]) -> Reply:
    (reply,) = [command for command in commands if isinstance(command, Reply)]
    return reply


def play(request: Request, *events: Event) -> tuple[Exchange, list[Command]]:
    """The exchange after `events`, and the commands that the last one led to."""
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return exchange, commands


def step(release: bytes = b"", *, is_last: bool = False) -> AnswerStep:
    return AnswerStep(release, {}, {}, is_last=is_last)


ANSWER = AnswerStarted(200, {"content-type": "application/json"}, is_last=False)


def test_an_allowed_request_is_recorded_before_it_is_forwarded(
    request_of_alice: Request, judged: Judged
) -> None:
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW))
    record, forward = commands
    assert kinds(record) == [Kind.REQUEST_RECEIVED, Kind.REQUEST_DECIDED, Kind.REQUEST_RELEASED]
    assert forward == Forward(b"forward", "llama")


def test_a_denied_request_is_answered_and_its_redacted_form_kept(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.DENY))
    record, reply = commands
    assert isinstance(record, Record)
    assert kinds(record) == [
        Kind.REQUEST_RECEIVED,
        Kind.REQUEST_DECIDED,
        Kind.REQUEST_REFUSED,
        Kind.EXCHANGE_ENDED,
    ]
    assert record.drafts[1].payloads == {"body": b"redacted"}
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.error.code) == (403, "request_denied")
    assert reply.headers["x-should-retry"] == "false"
    assert exchange.is_closed


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


def held(judged: Judged, hold: Hold) -> list[Event]:
    return [BodyRead(b"body"), judged(Effect.HOLD), HoldAnswered(Opened(hold))]


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


def test_while_the_model_has_the_request_nobody_claims_to_know_who_broke_it_off(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    waiting = held(judged, hold_in(HoldState.PENDING))
    forwarded = (BodyRead(b"body"), judged(Effect.ALLOW))
    outcomes = []
    for events in ((), waiting, forwarded, (*forwarded, ANSWER)):
        _, commands = play(request_of_alice, *events, CallerLeft())
        assert isinstance(commands[-1], Record)
        outcomes.append(commands[-1].drafts[-1].data["outcome"])
    assert outcomes == ["client_left", "client_left", "broken_off", "broken_off"]


def test_an_unreadable_request_is_recorded_and_refused(request_of_alice: Request) -> None:
    error = Unreadable("The body is not JSON.", code="invalid_json")
    _, commands = play(request_of_alice, BodyRead(b"{"), RequestFailed(error))
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert kinds(commands[1]) == [Kind.REQUEST_RECEIVED, Kind.REQUEST_REFUSED, Kind.EXCHANGE_ENDED]
    assert reply_of(commands).error.code == "invalid_json"


def test_each_piece_of_the_answer_is_recorded_before_it_is_released(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER)
    assert names(commands) == ["ReadAnswer"]
    assert exchange.handle(AnswerRead(step())) == []
    first = exchange.handle(AnswerRead(step(b"one")))
    assert names(first) == ["Record", "ForwardAnswer"]
    assert kinds(first[0]) == [Kind.ANSWER_STARTED, Kind.ANSWER_RELEASED]
    last = exchange.handle(AnswerRead(step(b"two", is_last=True)))
    assert kinds(last[0]) == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]
    assert last[1] == ForwardAnswer(b"two", is_last=True)
    assert exchange.is_closed


def test_what_the_model_server_keeps_is_recorded_once_with_the_first_piece_that_goes_on(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, _ = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER)
    assert exchange.handle(AnswerRead(step(), kept=("one",))) == []
    (record, _) = exchange.handle(AnswerRead(step(b"id"), kept=("two", "one")))
    assert kinds(record) == [Kind.ANSWER_STARTED, Kind.ANSWER_KEPT, Kind.ANSWER_RELEASED]
    assert isinstance(record, Record)
    assert record.drafts[1].data == {"caller": request_of_alice.pseudonym, "names": ["one", "two"]}
    assert not record.drafts[1].payloads
    last = exchange.handle(AnswerRead(step(b"two", is_last=True)))
    assert kinds(last[0]) == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]


def test_of_an_answer_that_is_denied_nothing_is_anybodys(request_of_alice: Request, judged: Judged) -> None:
    denied = replace(denied_answer(), kept=("one",))
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER, denied)
    assert Kind.ANSWER_KEPT not in kinds(commands[0])


def denied_answer() -> AnswerRead:
    return AnswerRead(step(b"secret"), Decision(Effect.DENY, "no-keys", "No keys.", "digest"))


def test_an_answer_denied_at_its_start_is_a_plain_error(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [BodyRead(b"body"), judged(Effect.ALLOW), ANSWER, denied_answer()]
    _, commands = play(request_of_alice, *events)
    assert names(commands) == ["Record", "Reply"]
    assert reply_of(commands).error.code == "answer_denied"


def test_an_answer_denied_later_is_cut_off_before_the_offending_text(
    request_of_alice: Request, judged: Judged
) -> None:
    events: list[Event] = [
        BodyRead(b"body"),
        judged(Effect.ALLOW),
        ANSWER,
        AnswerRead(step(b"one")),
        denied_answer(),
    ]
    _, commands = play(request_of_alice, *events)
    record, cut = commands
    assert kinds(record) == [Kind.ANSWER_DECIDED, Kind.ANSWER_REFUSED, Kind.EXCHANGE_ENDED]
    assert isinstance(cut, CutAnswer)
    assert not any(b"secret" in p for d in getattr(record, "drafts", ()) for p in d.payloads.values())


def test_an_answer_that_cannot_be_read_is_never_passed_on(request_of_alice: Request, judged: Judged) -> None:
    failed = AnswerFailed(Unreadable("not JSON", code="unreadable_answer"))
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), ANSWER, failed)
    assert names(commands) == ["Record", "Reply"]
    assert reply_of(commands).error.status == 502


def test_a_failure_that_cannot_be_read_keeps_its_status_and_is_retried_as_ever(
    request_of_alice: Request, judged: Judged
) -> None:
    busy = AnswerStarted(429, {}, is_last=False)
    failed = AnswerFailed(Unreadable("not JSON", code="unreadable_answer"))
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), busy, failed)
    assert reply_of(commands).error.status == 429
    assert "x-should-retry" not in reply_of(commands).headers


def test_an_answer_before_the_request_went_out_is_envoys_and_becomes_an_error(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    timeout = AnswerStarted(504, {}, is_last=False)
    _, commands = play(request_of_alice, *held(judged, hold_in(HoldState.PENDING)), timeout)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert reply_of(commands).error.status == 504


def test_a_store_that_is_away_while_the_model_answers_stops_the_answer_and_takes_nothing_back(
    request_of_alice: Request, judged: Judged
) -> None:
    piece = AnswerRead(AnswerStep(b"data: x\n\n", {}, {}))
    failed = StoreFailed(AWAY, answer_begun=True)
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), ANSWER, piece, failed)
    assert names(commands) == ["LeaveHold", "RecordLater", "Abort"]
    assert kinds(commands[1]) == [Kind.ANSWER_REFUSED, Kind.EXCHANGE_ENDED]


def test_a_store_that_is_away_stops_the_request_with_503_and_the_end_is_recorded_later(
    request_of_alice: Request, judged: Judged
) -> None:
    failed = StoreFailed(AWAY, answer_begun=False)
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), failed)
    assert names(commands) == ["LeaveHold", "RecordLater", "Reply"]
    assert reply_of(commands).error.status == 503
    assert kinds(commands[1]) == [Kind.REQUEST_RECEIVED, Kind.REQUEST_REFUSED, Kind.EXCHANGE_ENDED]


def test_a_refusal_that_could_not_be_recorded_is_said_as_503(
    request_of_alice: Request, judged: Judged
) -> None:
    failed = StoreFailed(AWAY, answer_begun=False)
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.DENY), failed)
    assert reply_of(commands).error.status == 503


def test_a_store_that_goes_away_in_mid_answer_aborts_it(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [
        BodyRead(b""),
        judged(Effect.ALLOW),
        ANSWER,
        AnswerRead(step(b"one")),
        AnswerRead(step(b"two")),
    ]
    _, commands = play(request_of_alice, *events, StoreFailed(AWAY, answer_begun=True))
    assert names(commands) == ["LeaveHold", "RecordLater", "Abort"]


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


def test_an_event_that_cannot_happen_raises(request_of_alice: Request) -> None:
    with pytest.raises(IllegalEvent, match="HoldConsumed in state Reading"):
        Exchange(request_of_alice).handle(HoldConsumed(is_ours=True))


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


def test_an_entry_of_a_release_counts_the_values_that_were_restored_up_to_it(
    request_of_alice: Request, judged: Callable[..., RequestJudged]
) -> None:
    exchange = Exchange(request_of_alice)
    for event in (BodyRead(b"body"), judged(Effect.ALLOW), AnswerStarted(200, {}, is_last=False)):
        exchange.handle(event)

    def told(given: bytes, restored: dict[str, int] | None) -> list[Command]:
        return exchange.handle(AnswerRead(AnswerStep(given, {}, {}, restored=restored, said=given)))

    assert told(b"", {"JWT": 1}) == []
    for body, restored, expected in (
        (b"a", {"JWT": 1, "IBAN_CODE": 1}, {"masked": {}, "restored": {"JWT": 2, "IBAN_CODE": 1}}),
        (b"b", None, {"masked": {}}),
    ):
        (record, forward) = told(body, restored)
        assert isinstance(record, Record)
        assert record.drafts[-1].data == expected
        assert forward == ForwardAnswer(body, is_last=False)


def opened(commands: list[Command]) -> HoldDraft:
    (command,) = commands
    assert isinstance(command, OpenHold)
    return command.draft


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
