"""What the rules have no question about any more leaves nobody a hold to decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.core.exchange_play import NOW, HoldIn, Judged, kinds, play

from authz_service.audit.draft import Kind
from authz_service.core.commands import Record
from authz_service.core.events import BodyRead, HoldAnswered, HoldApproved, HoldConsumed, RequestFailed
from authz_service.core.exchange import Exchange
from authz_service.core.openings import Opened
from authz_service.core.request import Request
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Unreadable
from authz_service.policy.decision import Effect


@pytest.mark.parametrize("effect", [Effect.DENY, Effect.ALLOW])
def test_what_was_taken_up_and_is_no_question_any_more_ends_the_hold_that_it_waited_for(
    request_of_alice: Request, judged: Judged, effect: Effect
) -> None:
    exchange = Exchange(request_of_alice)
    exchange.is_recorded, exchange.waited_for = True, "hold_0"
    exchange.handle(BodyRead(b"body"))
    record, _ = exchange.handle(judged(effect))
    assert isinstance(record, Record)
    assert record.ends == "hold_0"


def test_one_that_is_refused_for_another_reason_than_a_rule_leaves_its_hold_to_the_next(
    request_of_alice: Request, judged: Judged
) -> None:
    expired = replace(request_of_alice.caller, expires_at=NOW - 1)
    for why in (RequestFailed(Unreadable("no")), judged(Effect.ALLOW)):
        exchange = Exchange(replace(request_of_alice, caller=expired))
        exchange.is_recorded, exchange.waited_for = True, "hold_0"
        exchange.handle(BodyRead(b"body"))
        records = [each for each in exchange.handle(why) if isinstance(each, Record)]
        assert [(record.ends, Kind.REQUEST_REFUSED in kinds(record)) for record in records] == [("", True)]


def test_a_deny_of_this_moment_ends_the_hold_whose_approval_was_taken_back(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    exchange, _ = play(
        request_of_alice,
        BodyRead(b"body"),
        judged(Effect.HOLD),
        HoldAnswered(Opened(hold_in(HoldState.PENDING))),
        HoldApproved(hold_in(HoldState.APPROVED), NOW),
        judged(Effect.HOLD),
        HoldConsumed(is_ours=False),
    )
    (record,) = [each for each in exchange.handle(judged(Effect.DENY)) if isinstance(each, Record)]
    assert record.ends == "hold_1"
