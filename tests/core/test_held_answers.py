"""Answers that wait for people, as transcripts."""

from __future__ import annotations

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
    CutAnswer,
    FindAnswer,
    Forward,
    ForwardAnswer,
    GiveAnswer,
    JudgeAnswer,
    LeaveHold,
    MarkAnswer,
    OpenHold,
    Record,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFailed,
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
from authz_service.core.ports import (
    AlreadyRejected,
    Attached,
    Hold,
    HoldState,
    Opened,
    TooManyHolds,
)
from authz_service.core.request import Request
from authz_service.errors import Unauthenticated, Unavailable
from authz_service.framing.prefer import Prefer
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


def test_a_withheld_answer_is_not_asked_for_again_while_the_rejection_stands(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    rejected = AlreadyRejected(hold_in(HoldState.REJECTED, answer=HEAD))
    found = AnswerFound(rejected)
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW, holds_answers=True), found)
    assert names(commands) == ["Record", "Reply"]
    assert "withheld the answer" in reply_of(commands).error.message


def test_a_denied_request_gets_no_answer_that_waits(request_of_alice: Request, judged: Judged) -> None:
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.DENY, holds_answers=True))
    assert names(commands) == ["Record", "Reply"]


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


def test_a_rule_that_came_with_the_answer_withholds_it(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [BodyRead(b"body"), judged(Effect.ALLOW), STARTED, piece(b"one", HOLD)]
    _, commands = play(request_of_alice, *events)
    assert reply_of(commands).error.code == "rules_changed"


def test_only_who_has_no_answer_of_the_model_may_be_begun_anew(
    request_of_alice: Request, judged: Judged, waiting: Hold
) -> None:
    assert not play(request_of_alice, *held(judged, waiting))[0].can_be_resumed
    assert play(request_of_alice, *attached(judged, waiting))[0].can_be_resumed


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


def restored(said: bytes, given: bytes, *, is_last: bool = False, decision: Decision = HOLD) -> AnswerRead:
    """A piece in which a value of the request stands where the model said its placeholder."""
    step = AnswerStep(given, {}, {}, is_last=is_last, restored={"EMAIL_ADDRESS": 1}, said=said)
    approvals = (SECURITY,) if decision.effect is Effect.HOLD else ()
    return AnswerRead(step, decision, approvals, "hold_2", NOW)


def test_people_see_what_the_model_said_and_the_caller_gets_the_values_in_it(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, restored(b"for", b"FOR"))
    (open_hold,) = exchange.handle(restored(b"ward", b"WARD", is_last=True))
    assert isinstance(open_hold, OpenHold)
    assert open_hold.draft.forward == b"forward"
    exchange.handle(opened(waiting))
    exchange.handle(HoldApproved(approved, NOW))
    values = {"EMAIL_ADDRESS": 2}
    (consume,) = exchange.handle(replace(again(HOLD), given=b"FORWARD", restored=values))
    assert isinstance(consume, Consume)
    assert consume.digest == approved.digest
    released = consume.entries[1]
    assert (released.payloads, released.data["restored"]) == ({"body": b"FORWARD"}, values)
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), ForwardAnswer(b"FORWARD", is_last=True)]


def test_who_comes_back_for_an_answer_gets_the_values_of_the_request_that_came_with_it(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *attached(judged, waiting), HoldApproved(approved, NOW))
    exchange.handle(replace(again(ALLOW), given=b"FORWARD", restored={"EMAIL_ADDRESS": 1}))
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), GiveAnswer(HEAD, b"FORWARD")]


def test_an_answer_that_was_kept_back_and_not_held_goes_out_with_the_values(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, restored(b"a", b"A", decision=ALLOW))
    record, forward = exchange.handle(restored(b"b", b"B", decision=ALLOW, is_last=True))
    assert isinstance(record, Record)
    (released,) = [draft for draft in record.drafts if draft.kind is Kind.ANSWER_RELEASED]
    assert released.data == {"masked": {}, "restored": {"EMAIL_ADDRESS": 2}}
    assert forward == ForwardAnswer(b"AB", is_last=True)


def edited(hold: Hold) -> Hold:
    """The hold after a reviewer has edited its answer: other bytes would need another digest in a store."""
    who = ("https://id", "rita")
    act = Act("act_1", ActKind.EDIT, who, who, "Rita", NOW, revised=Revised(hold.digest, {}, HEAD))
    return replace(hold, acts=(act,))


MARKS = {"x-authz-edited": "true"}


def test_the_caller_is_told_that_an_answer_was_edited_on_its_own_stream_and_on_another(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *held(judged, waiting), HoldApproved(edited(approved), NOW))
    (consume,) = exchange.handle(again(ALLOW))
    assert isinstance(consume, Consume)
    (released,) = [d for d in consume.entries if d.kind is Kind.ANSWER_RELEASED]
    assert released.data["edited"] is True
    forward = ForwardAnswer(b"forward", is_last=True)
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), MarkAnswer(MARKS), forward]
    exchange, _ = play(request_of_alice, *attached(judged, waiting), HoldApproved(edited(approved), NOW))
    exchange.handle(again(ALLOW))
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), GiveAnswer(HEAD, b"forward", MARKS)]


def test_an_edited_answer_that_the_rules_of_now_would_have_otherwise_waits_anew_and_stays_marked(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *held(judged, waiting), HoldApproved(edited(approved), NOW))
    _, open_hold = exchange.handle(again(HOLD, approval=OTHERS))
    assert isinstance(open_hold, OpenHold)
    assert (open_hold.draft.replaces, open_hold.draft.previous) == ("hold_2", "hold_2")
    assert open_hold.draft.answer is not None
    assert open_hold.draft.answer.headers == {**HEAD.headers, **MARKS}
    anew = replace(approved, id="hold_3", answer=open_hold.draft.answer)
    exchange.handle(opened(anew))
    exchange.handle(HoldApproved(anew, NOW))
    exchange.handle(again(ALLOW))
    forward = ForwardAnswer(b"forward", is_last=True)
    assert exchange.handle(HoldConsumed(is_ours=True)) == [LeaveHold(), MarkAnswer(MARKS), forward]


def test_the_rules_of_now_can_deny_an_edited_answer(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *held(judged, waiting), HoldApproved(edited(approved), NOW))
    commands = exchange.handle(again(DENY))
    assert reply_of(commands).error.status == 403
    assert not {"Consume", "ForwardAnswer", "GiveAnswer"} & set(names(commands))


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_a_persons_answer_is_given_whole_in_the_place_of_the_one_that_came_on_this_stream(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold, content_type: str
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, piece(b"secret", HOLD, is_last=True))
    exchange.handle(opened(waiting))
    head, rita = AnswerHead(200, {"content-type": content_type}), ("https://id", "rita")
    act = Act("act_1", ActKind.RESPOND, rita, rita, "Rita", NOW, revised=Revised("", {}, head))
    responded = replace(approved, acts=(act,), answer=head, was_answered=True)
    exchange.handle(HoldApproved(responded, NOW))
    (consume,) = exchange.handle(again(ALLOW))
    assert isinstance(consume, Consume)
    assert consume.entries[-2].data["responded"] is True
    assert consume.entries[-1].data["outcome"] == "responded"
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), GiveAnswer(head, b"forward", {"x-authz-responded": "true"})]


def test_a_persons_answer_that_is_held_anew_is_a_persons_still(
    request_of_alice: Request, judged: Judged, waiting: Hold, approved: Hold
) -> None:
    exchange, _ = play(request_of_alice, *asked(judged), STARTED, piece(b"secret", HOLD, is_last=True))
    exchange.handle(opened(waiting))
    rita = ("https://id", "rita")
    act = Act("act_1", ActKind.RESPOND, rita, rita, "Rita", NOW, revised=Revised("", {}, HEAD))
    responded = replace(approved, acts=(act,), answer=HEAD, was_answered=True)
    exchange.handle(HoldApproved(responded, NOW))
    left, open_hold = exchange.handle(again(HOLD, body=b"masked anew"))
    assert left == LeaveHold()
    assert isinstance(open_hold, OpenHold)
    head = open_hold.draft.answer
    assert head is not None
    assert head.headers["x-authz-responded"] == "true"
    anew = replace(approved, id="hold_3", forward=b"masked anew", answer=head)
    exchange.handle(opened(replace(anew, state=HoldState.PENDING)))
    exchange.handle(HoldApproved(anew, NOW))
    exchange.handle(again(ALLOW, body=b"masked anew"))
    done = exchange.handle(HoldConsumed(is_ours=True))
    assert done == [LeaveHold(), GiveAnswer(head, b"masked anew", {"x-authz-responded": "true"})]
