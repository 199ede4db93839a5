"""Held answers with values put back, edited by a reviewer, or written by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.core.held_answers_play import (
    ALLOW,
    DENY,
    HEAD,
    HOLD,
    NOW,
    OTHERS,
    SECURITY,
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
from authz_service.core.acts import Act, ActKind, AnswerHead, Revised
from authz_service.core.commands import (
    Consume,
    ForwardAnswer,
    GiveAnswer,
    LeaveHold,
    MarkAnswer,
    OpenHold,
    Record,
)
from authz_service.core.events import (
    AnswerRead,
    HoldApproved,
    HoldConsumed,
)
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect


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
