"""The life of an exchange as transcripts: events in, commands out."""

from __future__ import annotations

import pytest
from tests.core.exchange_play import ANSWER, AWAY, HoldIn, Judged, held, kinds, names, play, reply_of

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Forward,
    Record,
    Reply,
)
from authz_service.core.events import (
    BodyRead,
    CallerLeft,
    HoldConsumed,
    RequestFailed,
    StoreFailed,
)
from authz_service.core.exchange import Exchange, IllegalEvent
from authz_service.core.request import Request
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Unreadable
from authz_service.policy.decision import Effect


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


def test_an_event_that_cannot_happen_raises(request_of_alice: Request) -> None:
    with pytest.raises(IllegalEvent, match="HoldConsumed in state Reading"):
        Exchange(request_of_alice).handle(HoldConsumed(is_ours=True))
